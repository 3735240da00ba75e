"""Ensemble of methods: each ranks the gallery, and their weighted scores are summed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

from outliers_bench.ensemble.fusion import Contributions, contributions, fuse_blocks, select_top
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.ensemble.tuning import fit_slope, relevance, tune_weights
from outliers_bench.errors import BenchError
from outliers_bench.methods.method import GallerySearch, Method
from outliers_bench.methods.parts import Workspace
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import (
    Exclusion,
    ImageSet,
    IntArray,
    LeftOut,
    RankedBlocks,
    Ranking,
    Split,
)


class Member(NamedTuple):
    """Method of an ensemble, with its label, its factory and its own meter."""

    label: str
    make: Callable[[Meter], Method]
    method: Method
    meter: Meter


class FusedRankings(Method):
    """Rank the gallery by the weighted sum of the scores of several methods.

    Each member is made by a factory, which takes a meter.
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

    def index(self, gallery: ImageSet) -> FusedGallery:
        """Index the gallery for every member of weight above 0; see `Method.index`."""
        weights = self._weights or []
        for member, weight in zip(self._members, weights, strict=True):
            self._meter.counts[f"weight_{member.label}"] = weight
        used = [at for at, weight in enumerate(weights) if weight > 0]
        searches = []
        for at in used:
            member = self._members[at]
            searches.append((member.method.index(gallery), member.meter))
            self._meter.absorb(member.meter)
        fuse_rankings = partial(
            fuse_blocks,
            weights=[weights[at] for at in used],
            fusion=self._model.fusion,
            n=len(gallery),
            rrf_k=self._model.rrf_k,
            slopes=[self._slopes[at] for at in used],
        )
        order = tie_order(gallery.digests, self._seed)
        return FusedGallery(searches, fuse_rankings, self._model.fusion_depth, order, self._meter)

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
            search = method.index(split.gallery)
            depth = min(model.fusion_depth, n)
            rankings.append(search.query(split.query, depth, split.exclusion))
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


@dataclass(frozen=True)
class FusedGallery(GallerySearch):
    """Gallery that is searched by every member of an ensemble; see `GallerySearch`.

    Parameters
    ----------
    searches : sequence of (GallerySearch, Meter)
        The gallery as each member searches it, and the meter of the member.
    fuse_rankings : callable
        Fuses the members' rankings; see `fuse_blocks`.
    fusion_depth : int
        Number of hits per member that are fused.
    order : array of int64, shape (n_gallery,)
        Permutation of the gallery that breaks ties.
    meter : Meter
        Meter of the run.
    """

    searches: Sequence[tuple[GallerySearch, Meter]]
    fuse_rankings: Callable[..., Iterator[tuple[IntArray, Contributions]]]
    fusion_depth: int
    order: IntArray
    meter: Meter

    def query_blocks(
        self, images: ImageSet, depth: int, exclusion: Exclusion, *, full: bool = False
    ) -> RankedBlocks:
        """Rank the gallery for blocks of queries; see `GallerySearch.query_blocks`."""
        # Independent of `depth`: the fused score of an item must not depend on that.
        member_depth = min(self.fusion_depth, exclusion.max_depth)
        rankings = []
        for search, meter in self.searches:
            rankings.append(search.query(images, member_depth, exclusion))
            self.meter.absorb(meter)
        blocks = self.fuse_rankings(rankings, exclusion=exclusion)
        while True:
            with self.meter.stage("search"), self.meter.stage("fuse"):
                block = next(blocks, None)
                if block is None:
                    return
                rows, sums = block
                ranking = Ranking(*select_top(sums, depth, self.order))
            if full:
                ranking = Ranking(*select_top(sums, sums.shape[1], self.order))
            yield rows, ranking


def _check(method: Method, split: Split, label: str) -> None:
    try:
        method.check(split)
    except BenchError as error:
        raise BenchError(f"model.members, {label}: {error}") from error
