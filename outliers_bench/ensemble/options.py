"""The `model=ensemble` options."""

from __future__ import annotations

import math
import re
import shlex
from dataclasses import dataclass, field, replace
from enum import Enum
from typing import Any, cast

import numpy as np

from outliers_bench.data.split import make_split
from outliers_bench.data.splits.options import SplitOptions
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Compose, Model
from outliers_bench.runtime.option_labels import join_nonempty, non_default_options, weights_label
from outliers_bench.runtime.text_values import split_words
from outliers_bench.store.features import Space
from outliers_bench.types import ImageSet, Split

_WITHOUT_LABELS = (
    "use model.member_weights=equal and a model.fusion without training, such as zscore"
)


class Fusion(Enum):
    """Fusion of the members; the values of `model.fusion`."""

    concat = "concat"
    """Concatenated normalized embeddings: one index; its cosine is the weighted mean of all."""
    zscore = "zscore"
    """Scores, standardized per query: minus their mean, divided by their standard deviation."""
    minmax = "minmax"
    """Scores, scaled to 0 to 1 per query."""
    calibrated = "calibrated"
    """Log-odds that a hit with this score is relevant, fitted on a part of train."""
    rrf = "rrf"
    """Reciprocal rank fusion."""
    borda = "borda"
    """Borda count: points by rank."""


@dataclass
class Ensemble(Model):
    """Ensemble of several methods.

    Parameters
    ----------
    members : list of str
        Each the name of a `model=` option, followed by its options:
        `mobilenet weights=mobilenet.h5`, `sift verify=none`.
    fusion : Fusion
        Fusion of the members' embeddings or rankings.
    member_weights : str or list of float
        `equal`, `tuned` for the best MAP@R on a part of train, or one number per member.
    fusion_depth : int
        Number of hits per member that are fused, if rankings are.
    rrf_k : float
        Constant of reciprocal rank fusion.
    tune_images : int
        Maximum number of train images for tuning weights and calibration.
    random_seed : int
        Seed of the choice of these images.
    """

    name: str = "ensemble"
    members: list[str] = field(default_factory=list)
    fusion: Fusion = Fusion.concat
    member_weights: Any = "equal"
    fusion_depth: int = 1000
    rrf_k: float = 60.0
    tune_images: int = 600
    random_seed: int = 0
    family = "ensemble"
    models = cast("tuple[Model, ...]", ())  # not annotated, since they are no option

    @property
    def embeds(self) -> bool:
        """True if any member computes embeddings, which reduction, index and re-ranking need."""
        return any(model.embeds for model in self.models)

    @property
    def resolved(self) -> dict[str, Model]:
        """The members by label."""
        return dict(zip(self.labels, self.models, strict=True))

    @property
    def own_search(self) -> tuple[str, str] | None:
        """Keypoints instead of an index, and the similarity, if no member has embeddings."""
        return None if self.embeds else ("keypoints", "fused")

    @property
    def labels(self) -> list[str]:
        """Name of each member, valid in MLflow; numbered if names are not unique."""
        names = [re.sub(r"[^\w.-]", "_", model.name, flags=re.ASCII) for model in self.models]
        if len(set(names)) < len(names):
            return [f"{name}_{number}" for number, name in enumerate(names, start=1)]
        return names

    @property
    def weights(self) -> list[float] | None:
        """Member weights, with a sum of 1; None if they are tuned."""
        if self.member_weights == "tuned":
            return None
        given = [1.0] * len(self.members)
        if self.member_weights != "equal":
            given = [float(weight) for weight in self.member_weights]
        return [weight / sum(given) for weight in given]

    @property
    def learns(self) -> bool:
        """True if a labeled part of train is needed."""
        return self.weights is None or self.fusion is Fusion.calibrated

    @property
    def learns_from_labels(self) -> bool:
        """True if a member does, or weights or calibration are tuned on labels."""
        return self.learns or any(model.learns_from_labels for model in self.models)

    @property
    def model_uris(self) -> tuple[str, ...]:
        """URIs of the members' models."""
        return tuple(uri for model in self.models for uri in model.model_uris)

    def dimensions_on(self, train: ImageSet) -> int | None:
        """Return the length of the concatenated embeddings; None if not known before fitting."""
        lengths = [model.dimensions_on(train) for model in self.models if model.embeds]
        return None if None in lengths else sum(length or 0 for length in lengths)

    def diagnostics(self, split: Split) -> dict[str, float]:
        """Collect the diagnostics of the members."""
        return {name: n for model in self.models for name, n in model.diagnostics(split).items()}

    @property
    def variant(self) -> str:
        """Members, fusion, weights, and non-default options."""
        weights = self.member_weights
        if isinstance(weights, str):
            weights = "" if weights == "equal" else weights
        else:
            weights = ":".join(f"{weight:g}" for weight in weights)
        members = " + ".join(map(_short_name, self.members))
        shown = ("name", "members", "fusion", "member_weights", "random_seed")
        options = non_default_options(self, Ensemble, (*shown, *self.inert_options))
        return join_nonempty(members, self.fusion.value, weights, *options)

    @property
    def inert_options(self) -> tuple[str, ...]:
        """Options of other fusions, and those of the tuning if nothing is tuned."""
        idle = {
            "fusion_depth": self.fusion is Fusion.concat,
            "rrf_k": self.fusion is not Fusion.rrf,
            "tune_images": not self.learns,
            "random_seed": not self.learns,
        }
        return tuple(option for option, is_idle in idle.items() if is_idle)

    @property
    def trains(self) -> bool:
        """True if any member is trained."""
        return any(model.trains for model in self.models)

    def result_options(self) -> dict[str, Any]:
        """Return the options that the scores depend on, with those of the members."""
        members = [model.result_options() for model in self.models]
        weights = self.weights or "tuned"
        return super().result_options() | {"members": members, "member_weights": weights}

    def resolve(self, compose: Compose, weights_dir: str | None) -> None:
        """Compose the members, and resolve the names in them; see `Model.resolve`."""
        self.models = tuple(compose(self.members, "model.members"))
        for place, member in enumerate(self.models):
            before = getattr(member, "weights", None)
            member.resolve(compose, weights_dir)
            weights = getattr(member, "weights", None)
            if weights != before:  # tables identify members by their text
                self.members[place] += f" weights={shlex.quote(str(weights))}"

    def check(self) -> None:
        """Raise `BenchError` for invalid members or options."""
        if len(self.members) < 2:
            raise BenchError(
                f"model.members={self.members}: an ensemble needs at least two members, as in "
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
                    f"model.fusion=concat: {model.name} has no embedding to concatenate; "
                    "fuse rankings, as with model.fusion=rrf, or use sift_vlad"
                )
        self._check_weights()
        expected = {
            "fusion_depth": (self.fusion_depth >= 1, "at least 1 hit of each member is fused"),
            "rrf_k": (0 <= self.rrf_k < math.inf, "at least 0; the default is 60"),
            "tune_images": (self.tune_images >= 20, "at least 20 images"),
        }
        for name, (is_valid, message) in expected.items():
            if not is_valid:
                raise BenchError(f"model.{name}={getattr(self, name)}: {message}")

    def _check_weights(self) -> None:
        weights = self.member_weights
        if weights in ("equal", "tuned"):
            return
        numbers = weights if isinstance(weights, list) else []
        is_valid = all(type(each) in (int, float) and each >= 0 for each in numbers)
        if not is_valid or len(numbers) != len(self.members) or not 0 < sum(numbers) < math.inf:
            raise BenchError(
                f"model.member_weights={weights}: equal, tuned, or a list of {len(self.members)} "
                "numbers of at least 0, one for each member, with a finite sum above 0"
            )

    def check_split(self, split: Split) -> None:
        """Raise `BenchError` if train has no labels to tune weights or calibration on."""
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
        """Split train again: a part to tune on, and the rest, to fit members on.

        The part, at most half of train, is query and gallery, of about equal size. With many
        classes of few photos, only some of the classes are split.

        Parameters
        ----------
        train : ImageSet
            Labeled images.
        name : str
            Name of the data set.

        Raises
        ------
        BenchError
            If fewer than two classes have two images.
        """
        limit = min(self.tune_images, len(train) // 2)
        share = limit / max(len(train), 1)
        labels = np.empty(0, np.int64) if train.labels is None else train.labels
        counts = np.bincount(labels)
        held_out = np.maximum(np.round(share * counts), 2)  # each needs a query and a relevant one
        rng = np.random.default_rng(self.random_seed)
        shuffled = rng.permutation(np.flatnonzero(counts >= 2))
        total = np.cumsum(held_out[shuffled])
        classes = shuffled[: max(2, int(np.searchsorted(total, limit, "right")))]
        split = make_split(
            train.take(np.flatnonzero(np.isin(labels, classes))),
            SplitOptions(train=1 - share, query=0.5),
            name=f"the train part of {name}",
            seed=self.random_seed,
        )
        rest = train.without(set(split.query.digests) | set(split.gallery.digests))
        if not len(rest):
            raise BenchError(f"the train part of {name} has too few images to hold out some")
        return replace(split, train=rest)

    def space(self) -> Space:
        """Return an empty key: features are stored by the members."""
        return {}


def _short_name(member: str) -> str:
    """Shorten a member for tables: a weights file is shown by its name only."""
    name, *options = split_words(member)
    short = (
        f"weights={weights_label(option.removeprefix('weights='))}"
        if option.startswith("weights=")
        else option
        for option in options
    )
    return join_nonempty(name, *short)
