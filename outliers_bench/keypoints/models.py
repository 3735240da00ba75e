"""The `model=` options made of keypoints, and the re-ranking by them."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.errors import BenchError
from outliers_bench.keypoints.detect import keypoint_space
from outliers_bench.keypoints.options import Detector, KeypointOptions, MatchOptions, Verify
from outliers_bench.models.model import Model
from outliers_bench.retrieval.rerank.base import Rerank
from outliers_bench.runtime.option_labels import joined, unusual
from outliers_bench.store.features import Space

MOST_WORDS = 4096
_IN_LABELS = ("verify", "shortlist")  # shown as the metric


@dataclass
class KeypointMatching(KeypointOptions, MatchOptions, Model):
    """Rank by the number of keypoints that match, and agree on a geometry."""

    @property
    def embeds(self) -> bool:
        """Not: keypoints are compared by themselves."""
        return False

    @property
    def variant(self) -> str:
        """Image size, number of keypoints, and what is unusual."""
        return joined(keypoint_variant(self), *unusual(self, MatchOptions, _IN_LABELS))

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        self.check_keypoints("model")
        self.check_matching("model")

    def space(self) -> Space:
        """Everything the keypoints depend on, but the photos."""
        return keypoint_space(self)


@dataclass
class Vlad(KeypointOptions, Model):
    """Descriptors aggregated to one vector an image: what they differ by from visual words.

    Parameters
    ----------
    words : int
        Size of the vocabulary that is learned on train.
    random_seed : int
        Decides where k-means begins.
    """

    words: int = 64
    random_seed: int = 0

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return self.words * self.descriptor.dimensions

    @property
    def variant(self) -> str:
        """Image size, number of keypoints, size of the vocabulary, and what is unusual."""
        return joined(keypoint_variant(self), f"{self.words} words")

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        self.check_keypoints("model")
        if not 1 <= self.words <= MOST_WORDS:
            raise BenchError(f"model.words={self.words}: from 1 to {MOST_WORDS:,}")
        if not 0 <= self.random_seed < 2**31:
            raise BenchError(f"model.random_seed={self.random_seed}: from 0 to {2**31 - 1}")

    def space(self) -> Space:
        """Everything the vectors depend on, but the photos, the vocabulary's included."""
        return {
            **keypoint_space(self),
            "architecture": f"vlad {self.descriptor.name}",
            "words": self.words,
            "random_seed": self.random_seed,
        }


@dataclass
class Spatial(KeypointOptions, MatchOptions, Rerank):
    """Re-order the first of a ranking by how many keypoints agree on a geometry."""

    @property
    def label(self) -> str:
        """Name, depth and what is unusual."""
        depth = "all" if self.shortlist is None else f"{self.shortlist}"
        told = (*unusual(self, KeypointOptions), *unusual(self, MatchOptions, ("shortlist",)))
        return joined(f"{self.name} {depth}", *told)

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        self.check_keypoints("rerank")
        self.check_matching("rerank")
        if self.verify is Verify.none:
            raise BenchError(
                "rerank.verify=none: there is nothing to re-rank by; use homography, affine or "
                "similarity, or rerank=none"
            )

    @property
    def depth(self) -> int | None:
        """How many of a ranking are re-ordered; None: all."""
        return self.shortlist


def keypoint_variant(options: KeypointOptions) -> str:
    """Image size, number of keypoints, and the detector where it is not RootSIFT."""
    plain = "plain" if options.detector is Detector.sift and not options.rootsift else ""
    detector = "" if options.detector is Detector.sift else options.detector.value
    return joined(f"{options.longest_side}px {options.max_keypoints}kp", detector, plain)
