"""The `model=ensemble` options."""

from __future__ import annotations

import math
import re
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any

import numpy as np

from outliers_bench.data.split import Protocol as SplitProtocol
from outliers_bench.data.split import cut
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Model
from outliers_bench.runtime.option_labels import joined, unusual, weights_label
from outliers_bench.store.features import Space
from outliers_bench.types import ImageSet, Split

_FEWEST, _FEWEST_TO_TUNE_ON = 2, 20
_WITHOUT_LABELS = (
    "use model.member_weights=equal and a model.fusion that learns nothing, such as zscore"
)
_OPTIONS = ("fusion_depth", "rrf_k", "tune_images")


class Fusion(Enum):
    """How members become one; the values of `model.fusion`."""

    concat = "concat"
    """Normalized embeddings side by side: one index, whose cosine is the weighted mean of all."""
    zscore = "zscore"
    """Scores, for each query less their mean and divided by their deviation."""
    minmax = "minmax"
    """Scores, for each query from 0 to 1."""
    calibrated = "calibrated"
    """Log-odds that a hit with this score is right, learned on a part of train."""
    rrf = "rrf"
    """Reciprocal rank fusion."""
    borda = "borda"
    """Ranks as points."""


@dataclass
class Ensemble(Model):
    """Several methods as one.

    Parameters
    ----------
    members : list of str
        Each the name of a `model=` option, with options of its own after it:
        `mobilenet weights=mobilenet.h5`, `sift verify=none`.
    fusion : Fusion
        How they become one.
    member_weights : str or list of float
        `equal`, `tuned` for the best MAP@R on a part of train, or a number for each member.
    fusion_depth : int
        Hits of each member that are fused, where rankings are.
    rrf_k : float
        Constant of reciprocal rank fusion.
    tune_images : int
        Images of train, at most, that weights and calibration are learned on.
    random_seed : int
        Decides which.
    """

    name: str = "ensemble"
    members: list[str] = field(default_factory=list)
    fusion: Fusion = Fusion.concat
    member_weights: Any = "equal"
    fusion_depth: int = 1000
    rrf_k: float = 60.0
    tune_images: int = 600
    random_seed: int = 0

    @property
    def embeds(self) -> bool:
        """Whether a PCA, an index and a re-ranking have something to work on."""
        return any(model.embeds for model in self.models)

    def __post_init__(self) -> None:
        self._models: tuple[Model, ...] = ()

    @property
    def models(self) -> tuple[Model, ...]:
        """The members as what they stand for."""
        return self._models

    @models.setter
    def models(self, models: Sequence[Model]) -> None:
        self._models = tuple(models)

    @property
    def labels(self) -> list[str]:
        """A name for each member, fit for MLflow; with its place where one occurs twice."""
        names = [re.sub(r"[^\w.-]", "_", model.name, flags=re.ASCII) for model in self.models]
        if len(set(names)) < len(names):
            return [f"{name}_{place}" for place, name in enumerate(names, start=1)]
        return names

    @property
    def weights(self) -> list[float] | None:
        """The members' weights, adding up to 1; None where they are to be tuned."""
        if self.member_weights == "tuned":
            return None
        given = [1.0] * len(self.members)
        if self.member_weights != "equal":
            given = [float(weight) for weight in self.member_weights]
        return [weight / sum(given) for weight in given]

    @property
    def learns(self) -> bool:
        """Whether a labeled part of train is needed."""
        return self.weights is None or self.fusion is Fusion.calibrated

    @property
    def model_uris(self) -> tuple[str, ...]:
        """Those of the members."""
        return tuple(uri for model in self.models for uri in model.model_uris)

    def dimensions_on(self, train: ImageSet) -> int | None:
        """Length of all embeddings side by side; None where only learning tells."""
        lengths = [model.dimensions_on(train) for model in self.models if model.embeds]
        return None if None in lengths else sum(length or 0 for length in lengths)

    def diagnostics(self, split: Split) -> dict[str, float]:
        """What the members have to tell."""
        return {name: n for model in self.models for name, n in model.diagnostics(split).items()}

    @property
    def variant(self) -> str:
        """The members, how they are fused, with which weights, and what is unusual."""
        weights = ""
        if self.member_weights == "tuned":
            weights = "tuned"
        elif self.member_weights != "equal":
            weights = ":".join(f"{weight:g}" for weight in self.member_weights)
        members = " + ".join(map(_told, self.members))
        ignored = [option for option in _OPTIONS if option not in self.what_matters(_OPTIONS)]
        besides = ("name", "members", "fusion", "member_weights", "random_seed", *ignored)
        return joined(members, self.fusion.value, weights, *unusual(self, Ensemble, besides))

    def what_matters(self, options: Sequence[str]) -> list[str]:
        """Those of some options that can change a figure, the others being as they are."""
        idle = {
            "fusion_depth": self.fusion is Fusion.concat,
            "rrf_k": self.fusion is not Fusion.rrf,
            "tune_images": not self.learns,
            "random_seed": not self.learns,
        }
        return [option for option in options if not idle.get(option, False)]

    def check(self) -> None:
        """Raise `BenchError` for members or options that cannot work."""
        if len(self.members) < _FEWEST:
            raise BenchError(
                f"model.members={self.members}: an ensemble has at least two members, as in "
                "model.members=[mobilenet,sift]"
            )
        for member, model in zip(self.members, self.models, strict=True):
            if isinstance(model, Ensemble):
                raise BenchError("model.members: an ensemble cannot be a member of another")
            try:
                model.check()
            except BenchError as error:
                raise BenchError(f"model.members, {member!r}: {error}") from error
            if self.fusion is Fusion.concat and not model.embeds:
                raise BenchError(
                    f"model.fusion=concat: {model.name} has no embedding to put beside others; "
                    "fuse rankings, as with model.fusion=rrf, or take sift_vlad"
                )
        self._check_weights()
        if self.fusion_depth < 1:
            raise BenchError(
                f"model.fusion_depth={self.fusion_depth}: at least 1 hit of each member is fused"
            )
        if not (math.isfinite(self.rrf_k) and self.rrf_k >= 0):
            raise BenchError(f"model.rrf_k={self.rrf_k}: a number of at least 0; usual is 60")
        if self.tune_images < _FEWEST_TO_TUNE_ON:
            raise BenchError(
                f"model.tune_images={self.tune_images}: at least {_FEWEST_TO_TUNE_ON} images"
            )

    def _check_weights(self) -> None:
        weights = self.member_weights
        if weights in ("equal", "tuned"):
            return
        numbers = list(weights) if isinstance(weights, list) else []
        if len(numbers) != len(self.members) or not all(map(_is_weight, numbers)):
            raise BenchError(
                f"model.member_weights={weights}: equal, tuned, or a list of {len(self.members)} "
                "numbers of at least 0, one for each member"
            )
        if not 0 < sum(numbers) < math.inf:
            raise BenchError(
                f"model.member_weights={weights}: one of them must be above 0, and their sum finite"
            )

    def check_split(self, split: Split) -> None:
        """Refuse to learn weights or calibration where train has no labels to learn from."""
        for member, model in zip(self.members, self.models, strict=True):
            try:
                model.check_split(split)
            except BenchError as error:
                raise BenchError(f"model.members, {member!r}: {error}") from error
        if not self.learns:
            return
        option = "model.member_weights=tuned" if self.weights is None else "model.fusion=calibrated"
        if not len(split.train) or split.train.labels is None:
            raise BenchError(
                f"{option} learns from the labels of a train part, and {split.name} has none; "
                f"{_WITHOUT_LABELS}"
            )
        try:
            self.validation_split(split.train, split.name)
        except BenchError as error:
            raise BenchError(f"{option}: {error}; {_WITHOUT_LABELS}") from error

    def validation_split(self, train: ImageSet, name: str) -> Split:
        """Cut train once more: a part to learn weights on, and the rest, on which members learn.

        Where there are many classes of few photos, only some of the classes are cut.

        Parameters
        ----------
        train : ImageSet
            With labels.
        name : str
            The data set's name.

        Returns
        -------
        Split
            Query and gallery, of about equal size, are the part; its train is the rest.

        Raises
        ------
        BenchError
            If no two classes have two images to spare.
        """
        most = min(self.tune_images, len(train) // 2)
        share = most / max(len(train), 1)
        labels = np.empty(0, np.int64) if train.labels is None else train.labels
        counts = np.bincount(labels)
        held = np.maximum(np.round(share * counts), 2)  # each gives a query and an answer
        dealt = np.random.default_rng(self.random_seed).permutation(np.flatnonzero(counts >= 2))
        chosen = dealt[: max(2, int(np.searchsorted(np.cumsum(held[dealt]), most, "right")))]
        split = cut(
            train.take(np.flatnonzero(np.isin(labels, chosen))),
            name=f"the train part of {name}",
            train=1 - share,
            query=0.5,
            protocol=SplitProtocol.query_gallery,
            seed=self.random_seed,
        )
        rest = train.without(set(split.query.digests) | set(split.gallery.digests))
        if not len(rest):
            raise BenchError(f"the train part of {name} has too few images to hold some out")
        return replace(split, train=rest)

    def space(self) -> Space:
        """Nothing is stored under an ensemble's own name: its members store theirs."""
        return {}


def _told(member: str) -> str:
    """A member for tables, as it was written; a file of weights by its name alone."""
    name, *options = shlex.split(member)
    short = (
        f"weights={weights_label(option.removeprefix('weights='))}"
        if option.startswith("weights=")
        else option
        for option in options
    )
    return joined(name, *short)


def _is_weight(value: object) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and 0 <= value < math.inf  # type: ignore[operator]
