"""Ensemble of methods: each ranks the gallery, and their weighted scores are summed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from outliers_bench.ensemble.fusion import contributions, fuse
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.ensemble.tuning import fit_slope, relevance, tune_weights
from outliers_bench.errors import BenchError
from outliers_bench.methods.method import Method
from outliers_bench.methods.parts import Workspace
from outliers_bench.result import Result
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image


class Member(NamedTuple):
    """Method of an ensemble, with its label, its factory and its own meter."""

    label: str
    make: Callable[[Meter], Method]
    method: Method
    meter: Meter


class FusedRankings:
    """Rank the gallery by the weighted sum of the scores of several methods.

    Parameters
    ----------
    model : Ensemble
        Members, weights and fusion.
    factories : sequence of callable
        Factory of each member; takes a meter.
    workspace : Workspace
    """

    def __init__(
        self,
        model: Ensemble,
        factories: Sequence[Callable[[Meter], Method]],
        workspace: Workspace,
    ) -> None:
        self._model = model
        self._seed = workspace.seed
        self._meter = workspace.meter
        self._members: list[Member] = []
        for label, make in zip(model.labels, factories, strict=True):
            own = Meter()
            self._members.append(Member(label, make, make(own), own))
        self._weights = model.weights
        self._slopes = [1.0] * len(self._members)

    @property
    def learns_from_labels(self) -> bool:
        """True if a member does, or the fusion is tuned; see `Method`."""
        members = any(member.method.learns_from_labels for member in self._members)
        return self._model.learns or members

    def check(self, split: Split) -> None:
        """Check the split for every member, and for the tuning of the weights."""
        self._model.check_split(split)
        for member in self._members:
            _check(member.method, split, member.label)
        if self._model.learns:
            part = self._validation(split)
            for member in self._members:
                _check(member.make(Meter()), part, member.label)

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store the features of every member; see `Method.extract`."""
        unreadable: dict[bytes, LeftOut] = {}
        for member in self._members:
            unreadable |= member.method.extract(images)
            self._meter.absorb(member.meter)
        return unreadable

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Learn the weights on a validation part of train, then fit the members on all of it."""
        if self._model.learns:
            with self._meter.stage("tune"):
                self._learn(self._validation(split))
        for member, weight in zip(self._members, self._weights or [], strict=True):
            if weight > 0:
                member.method.fit(split, observer.for_network(member.label))
                self._meter.absorb(member.meter)

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        weights = self._weights or []
        for member, weight in zip(self._members, weights, strict=True):
            self._meter.counts[f"weight_{member.label}"] = weight
        max_depth = split.exclusion.max_depth
        used = [at for at, weight in enumerate(weights) if weight > 0]
        rankings = []
        for member in (self._members[at] for at in used):
            # Independent of `depth`: the fused score of an item must not depend on that.
            rankings.append(member.method.rank(split, min(self._model.fusion_depth, max_depth)))
            self._meter.absorb(member.meter)
        with self._meter.stage("search"), self._meter.stage("fuse"):
            return fuse(
                rankings,
                [weights[at] for at in used],
                fusion=self._model.fusion,
                depth=depth,
                order=tie_order(split.gallery.digests, self._seed),
                rrf_k=self._model.rrf_k,
                slopes=[self._slopes[at] for at in used],
                exclusion=split.exclusion,
            )

    def match_sheets(self, result: Result, queries: int) -> dict[str, Image]:  # noqa: ARG002
        """Return no sheets."""
        return {}

    def _validation(self, split: Split) -> Split:
        return self._model.validation_split(split.train, split.name)

    def _learn(self, split: Split) -> None:
        """Rank the split by every member, and fit slopes and weights to its labels."""
        model, n, relevant = self._model, len(split.gallery), relevance(split)
        rankings = []
        for member in self._members:
            method = member.make(Meter())
            method.extract(split.images)  # only looks up the stored features
            method.fit(split)
            rankings.append(method.rank(split, min(model.fusion_depth, n)))
        if model.fusion is Fusion.calibrated:
            self._slopes = [fit_slope(ranking, relevant) for ranking in rankings]
            for member, slope in zip(self._members, self._slopes, strict=True):
                self._meter.counts[f"slope_{member.label}"] = slope
        if self._weights is None:
            scores = [
                contributions(ranking, model.fusion, n, rrf_k=model.rrf_k, slope=slope)
                for ranking, slope in zip(rankings, self._slopes, strict=True)
            ]
            order = tie_order(split.gallery.digests, self._seed)
            self._weights, map_at_r = tune_weights(scores, relevant, order)
            self._meter.counts["map_at_r_tuning"] = map_at_r


def _check(method: Method, split: Split, label: str) -> None:
    try:
        method.check(split)
    except BenchError as error:
        raise BenchError(f"model.members, {label}: {error}") from error
