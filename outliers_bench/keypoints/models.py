"""The `model=` and `rerank=` options that use keypoints."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.errors import BenchError
from outliers_bench.keypoints.detect import keypoint_space
from outliers_bench.keypoints.options import Detector, KeypointOptions, MatchOptions, Verify
from outliers_bench.models.model import Model
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.runtime.option_labels import join_nonempty, non_default_options
from outliers_bench.store.features import Space

MAX_WORDS = 4096
_SHOWN_AS_METRIC = ("verify", "shortlist")  # so they are not repeated in the variant


@dataclass
class KeypointMatching(KeypointOptions, MatchOptions, Model):
    """Rank by the number of matching keypoints that agree on a geometry."""

    @property
    def embeds(self) -> bool:
        """Always False: keypoints are compared without embeddings."""
        return False

    @property
    def family(self) -> str:
        """Always `keypoints`."""
        return "keypoints"

    @property
    def own_search(self) -> tuple[str, str] | None:
        """Keypoints instead of an index, and the verification with its shortlist."""
        if self.verify is Verify.none:
            return "keypoints", "matches"
        return "keypoints", f"{self.verify.value} {self.shortlist or 'all'}"

    @property
    def variant(self) -> str:
        """Image size, number of keypoints, and non-default options."""
        return join_nonempty(
            keypoint_variant(self), *non_default_options(self, MatchOptions, _SHOWN_AS_METRIC)
        )

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        self.check_keypoints("model")
        self.check_matching("model")

    def check_rerank(self, rerank: str) -> None:
        """Raise `BenchError`: there are no embeddings to re-rank."""
        raise BenchError(
            f"rerank={rerank} re-ranks embeddings; model={self.name} verifies its own shortlist: "
            "see model.verify and model.shortlist"
        )

    def space(self) -> Space:
        """Return all that the keypoints depend on, except the photos."""
        return keypoint_space(self)


@dataclass
class Vlad(KeypointOptions, Model):
    """VLAD: descriptors aggregated to one vector per image, by residuals to visual words.

    Parameters
    ----------
    words : int
        Size of the vocabulary, which is learned on train.
    random_seed : int
        Seed of k-means.
    """

    words: int = 64
    random_seed: int = 0

    @property
    def family(self) -> str:
        """Always `keypoints`."""
        return "keypoints"

    @property
    def dimensions(self) -> int:
        """Number of dimensions of the vectors."""
        return self.words * self.descriptor.dimensions

    @property
    def variant(self) -> str:
        """Image size, number of keypoints, and size of the vocabulary."""
        return join_nonempty(keypoint_variant(self), f"{self.words} words")

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        self.check_keypoints("model")
        if not 1 <= self.words <= MAX_WORDS:
            raise BenchError(f"model.words={self.words}: from 1 to {MAX_WORDS:,}")
        if not 0 <= self.random_seed < 2**31:
            raise BenchError(f"model.random_seed={self.random_seed}: from 0 to {2**31 - 1}")

    def space(self) -> Space:
        """Return all that the vectors depend on, except the photos, also those of training."""
        return {
            **keypoint_space(self),
            "architecture": f"vlad {self.descriptor.name}",
            "words": self.words,
            "random_seed": self.random_seed,
        }


@dataclass
class Spatial(KeypointOptions, MatchOptions, Rerank):
    """Re-rank the first hits by the number of matching keypoints that agree on a geometry."""

    @property
    def label(self) -> str:
        """Name, depth and non-default options."""
        depth = "all" if self.shortlist is None else f"{self.shortlist}"
        of_keypoints = non_default_options(self, KeypointOptions)
        of_matching = non_default_options(self, MatchOptions, ("shortlist",))
        return join_nonempty(f"{self.name} {depth}", *of_keypoints, *of_matching)

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        self.check_keypoints("rerank")
        self.check_matching("rerank")
        if self.verify is Verify.none:
            raise BenchError(
                "rerank.verify=none: re-ranking needs a geometry; use homography, affine or "
                "similarity, or rerank=none"
            )

    @property
    def depth(self) -> int | None:
        """Number of hits per query that are re-ranked; None: all."""
        return self.shortlist


def keypoint_variant(options: KeypointOptions) -> str:
    """Label the image size, number of keypoints, and a detector other than RootSIFT."""
    plain = "plain" if options.detector is Detector.sift and not options.rootsift else ""
    detector = "" if options.detector is Detector.sift else options.detector.value
    return join_nonempty(f"{options.longest_side}px {options.max_keypoints}kp", detector, plain)
