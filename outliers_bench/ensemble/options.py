"""The `model=ensemble` options."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from outliers_bench.data.split import Protocol as SplitProtocol
from outliers_bench.data.split import cut
from outliers_bench.errors import BenchError
from outliers_bench.features.extractor import Model, Space
from outliers_bench.labels import joined
from outliers_bench.types import ImageSet, Split

_FEWEST, _FEWEST_TO_TUNE_ON = 2, 20


class Fusion(Enum):
    """How members become one; the values of `model.fusion`."""

    concat = "concat"
    """Normalised embeddings side by side: one index, whose cosine is the weighted mean of all."""
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
    pool : int
        Hits of each member that are fused, where rankings are.
    rrf_k : float
        Constant of reciprocal rank fusion.
    tune_on : int
        Images of train, at most, that weights and calibration are learned on.
    random_seed : int
        Decides which.
    """

    members: list[str] = field(default_factory=list)
    fusion: Fusion = Fusion.concat
    member_weights: Any = "equal"
    pool: int = 1000
    rrf_k: float = 60.0
    tune_on: int = 600
    random_seed: int = 0

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
        """A name for each member: its model's, with a number where that occurs twice."""
        names = [model.name for model in self.models]
        often = Counter(names)
        return [
            f"{name}_{names[: at + 1].count(name)}" if often[name] > 1 else name
            for at, name in enumerate(names)
        ]

    @property
    def _told(self) -> list[str]:
        """The members for tables: with their variant where they were given options."""
        return [
            joined(model.name, model.variant if " " in member.strip() else "")
            for member, model in zip(self.members, self.models, strict=True)
        ]

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
        """Whether a labelled part of train is needed."""
        return self.weights is None or self.fusion is Fusion.calibrated

    @property
    def dimensions(self) -> int:
        """Length of all embeddings side by side."""
        return sum(int(getattr(model, "dimensions", 0)) for model in self.models)

    @property
    def variant(self) -> str:
        """The members, how they are fused, and with which weights."""
        weights = ""
        if self.member_weights == "tuned":
            weights = "tuned"
        elif self.member_weights != "equal":
            weights = ":".join(f"{weight:g}" for weight in self.member_weights)
        return joined(" + ".join(self._told), self.fusion.value, weights)

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
        if self.pool < 1:
            raise BenchError(f"model.pool={self.pool}: at least 1 hit of each member is fused")
        if not (math.isfinite(self.rrf_k) and self.rrf_k >= 0):
            raise BenchError(f"model.rrf_k={self.rrf_k}: a number of at least 0; usual is 60")
        if self.tune_on < _FEWEST_TO_TUNE_ON:
            raise BenchError(f"model.tune_on={self.tune_on}: at least {_FEWEST_TO_TUNE_ON} images")

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
        if sum(numbers) <= 0:
            raise BenchError(f"model.member_weights={weights}: one of them must be above 0")

    def check_split(self, split: Split) -> None:
        """Refuse to learn weights or calibration where train has no labels to learn from."""
        if not self.learns:
            return
        option = "model.member_weights=tuned" if self.weights is None else "model.fusion=calibrated"
        if not len(split.train) or split.train.labels is None:
            raise BenchError(
                f"{option} learns from the labels of a train part, and {split.name} has none; use "
                "model.member_weights=equal and a model.fusion that learns nothing, such as zscore"
            )
        self.validation_split(split.train, split.name)

    def validation_split(self, train: ImageSet, name: str) -> Split:
        """Cut train once more: a part to learn weights on, and the rest, on which members learn.

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
            If no class has two images.
        """
        return cut(
            train,
            name=f"the train part of {name}",
            train=1 - min(self.tune_on / len(train), 0.5),
            query=0.5,
            protocol=SplitProtocol.query_gallery,
            seed=self.random_seed,
        )

    def space(self) -> Space:
        """Nothing is stored under an ensemble's own name: its members store theirs."""
        return {}


def _is_weight(value: object) -> bool:
    known = isinstance(value, int | float) and not isinstance(value, bool)
    return known and math.isfinite(float(value)) and float(value) >= 0  # type: ignore[arg-type]
