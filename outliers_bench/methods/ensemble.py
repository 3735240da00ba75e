"""Several methods as one: each ranks, and what they say of every gallery image is added up."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from outliers_bench.config.schema import Config
from outliers_bench.ensemble.fusion import contributions, fuse
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.ensemble.tuning import relevance, slope, tuned
from outliers_bench.errors import BenchError
from outliers_bench.methods.method import Method
from outliers_bench.methods.warn_unused import tell_idle
from outliers_bench.result import Result
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image


class Member(NamedTuple):
    """One of the methods: how it is called, how to make another like it, what it costs."""

    label: str
    make: Callable[[Meter], Method]
    method: Method
    meter: Meter


class FusedRankings:
    """Rank by the weighted sum of what several methods say.

    Parameters
    ----------
    config : Config
        Seed.
    model : Ensemble
        How to fuse.
    makes : sequence of callable
        Makes each member, given what takes down its costs.
    meter : Meter
        The run's.
    """

    def __init__(
        self,
        config: Config,
        model: Ensemble,
        makes: Sequence[Callable[[Meter], Method]],
        meter: Meter,
    ) -> None:
        self._config = config
        self._model = model
        self._meter = meter
        self._members: list[Member] = []
        for label, make in zip(model.labels, makes, strict=True):
            own = Meter()
            self._members.append(Member(label, make, make(own), own))
        self._weights = model.weights
        self._slopes = [1.0] * len(self._members)

    def check(self, split: Split) -> None:
        """Refuse what a member refuses, and learning without labels to learn from."""
        self._model.check_split(split)
        if not self._model.embeds:
            tell_idle(self._config)
        for member in self._members:
            _check(member.method, split, member.label)
        if self._model.learns:
            part = self._validation(split)
            for member in self._members:
                _check(member.make(Meter()), part, member.label)

    def extract(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that every member's features are stored; see `Method.extract`."""
        unreadable: dict[bytes, LeftOut] = {}
        for member in self._members:
            unreadable |= member.method.extract(images, commit=commit)
            self._meter.absorb(member.meter)
        return unreadable

    def fit(self, split: Split, watch: TrainingObserver = NULL_OBSERVER) -> None:
        """Let the members learn; then the weights, on a part of train that they have not seen."""
        if self._model.learns:
            with self._meter.stage("tune"):
                self._learn(self._validation(split))
        for member, weight in zip(self._members, self._weights or [], strict=True):
            if weight > 0:
                member.method.fit(split, watch.named(member.label))
                self._meter.absorb(member.meter)

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        weights = self._weights or []
        for member, weight in zip(self._members, weights, strict=True):
            self._meter.counts[f"weight_{member.label}"] = weight
        reachable = len(split.gallery) - int(split.leave_one_out)
        asked = [at for at, weight in enumerate(weights) if weight > 0]
        rankings = []
        for member in (self._members[at] for at in asked):
            # No deeper for a deeper ranking: what is said of an item must not depend on that.
            rankings.append(member.method.rank(split, min(self._model.fusion_depth, reachable)))
            self._meter.absorb(member.meter)
        with self._meter.stage("search"), self._meter.stage("fuse"):
            return fuse(
                rankings,
                [weights[at] for at in asked],
                fusion=self._model.fusion,
                depth=depth,
                order=tie_order(split.gallery.digests, self._config.seed),
                rrf_k=self._model.rrf_k,
                slopes=[self._slopes[at] for at in asked],
                leave_one_out=split.leave_one_out,
            )

    def pictures(self, result: Result) -> dict[str, Image]:  # noqa: ARG002
        """None of its own."""
        return {}

    def _validation(self, split: Split) -> Split:
        return self._model.validation_split(split.train, split.name)

    def _learn(self, split: Split) -> None:
        """Rank the split by every member, and learn slopes and weights from its labels."""
        model, n, right = self._model, len(split.gallery), relevance(split)
        rankings = []
        for member in self._members:
            method = member.make(Meter())
            method.extract(split.images, commit=lambda: None)  # all there; looks where it lies
            method.fit(split)
            rankings.append(method.rank(split, min(model.fusion_depth, n)))
        if model.fusion is Fusion.calibrated:
            self._slopes = [slope(ranking, right) for ranking in rankings]
            for member, steepness in zip(self._members, self._slopes, strict=True):
                self._meter.counts[f"slope_{member.label}"] = steepness
        if self._weights is None:
            said = [
                contributions(ranking, model.fusion, n, rrf_k=model.rrf_k, slope=steepness)
                for ranking, steepness in zip(rankings, self._slopes, strict=True)
            ]
            order = tie_order(split.gallery.digests, self._config.seed)
            self._weights, reached = tuned(said, right, order)
            self._meter.counts["map_at_r_tuning"] = reached


def _check(method: Method, split: Split, label: str) -> None:
    try:
        method.check(split)
    except BenchError as error:
        raise BenchError(f"model.members, {label}: {error}") from error
