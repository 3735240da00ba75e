"""One run, top to bottom: split the data, rank with a method, evaluate the ranking."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from functools import partial
from typing import Literal, NamedTuple

from outliers_bench.config.roles import warn_unused
from outliers_bench.config.schema import Config
from outliers_bench.data.source import Leakage, check_unreadable
from outliers_bench.duplicates.find import is_cached
from outliers_bench.duplicates.thumbnails import share_decodings
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import count_relevant, nothing_relevant
from outliers_bench.evaluation.choose_clusters import choose_unit
from outliers_bench.evaluation.evaluate import MIN_DEPTH, Evaluation, Evaluator
from outliers_bench.evaluation.statistics import add_statistics
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.leakage.bursts import find_bursts
from outliers_bench.leakage.policy import AuditedSplit
from outliers_bench.leakage.remove import exclude_leaks
from outliers_bench.methods.method import Method, ReusedIndex
from outliers_bench.reports.contact_sheet import check_captions
from outliers_bench.result import RECORDED_DEPTH, BurstScores, LeakageScores, Result
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import RankedBlocks, Ranking, Split, join_blocks

_RETAINED_HITS = 20_000_000  # of all queries, 240 MB: deeper rankings are truncated to it

_log = logging.getLogger(__name__)


class Prepared(NamedTuple):
    """A run whose options and photos have been checked."""

    config: Config
    whole: Split
    """Split with all queries, before its audit."""
    split: Split
    """Split to rank and score."""
    audited: AuditedSplit | None
    """Its audit; None if the run does it, after embedding."""
    method: Method
    meter: Meter


def prepare(config: Config) -> Prepared:
    """Load, split and audit the photos, and check everything that can be checked before the work.

    New photos are audited after they are embedded, because one decoding then serves both, unless
    the audit decides on the split: it is part of the run's identity.

    Models given by an MLflow URI must have been downloaded; see `tracking.models.fetch_models`.

    Raises
    ------
    BenchError
        If an option or the photos cannot be used.
    """
    config.cache.check()
    meter = Meter.start()
    with meter.stage("load"):
        source, cache = config.data, config.cache.path
        whole = splits.load_whole(source, seed=config.seed, cache=cache)
        given = splits.load_unaudited(source, seed=config.seed, cache=cache, whole=whole)
    method = config.method(meter)
    check(config, given, method)  # before the audit, which decodes new photos
    warn_unused(config)
    if config.data.leakage is Leakage.report and not is_cached(whole.images, cache=cache):
        return Prepared(config, whole, given, None, method, meter)
    audited = _audit(config, whole, meter)
    if audited.is_filtered:
        check(config, audited.split, method)
    return Prepared(config, whole, audited.split, audited, method, meter)


def run(prepared: Prepared, observer: TrainingObserver = NULL_OBSERVER) -> Result:
    """Rank and evaluate what `prepare` returned. Nothing is recorded or printed.

    The observer is notified of the epochs and networks of a training.

    Raises
    ------
    BenchError
        If weights do not fit, or too many images cannot be read.
    """
    config, method, meter = prepared.config, prepared.method, prepared.meter
    given = prepared.split if prepared.audited is None else prepared.audited.original
    total = len(given.images) + len(given.left_out)
    if prepared.audited is None:
        with share_decodings(given.images, config.cache.path) as images:
            unreadable = method.extract(images)
        audited = _audit(config, prepared.whole, meter)
    else:
        unreadable = method.extract(given.images)
        audited = prepared.audited
    audited = audited.without(unreadable)
    split = audited.split
    check_unreadable(split.left_out, total=total, limit=config.data.max_unreadable)
    method.fit(split, observer)
    index = ReusedIndex(method)
    with meter.stage("audit"):
        bursts = find_bursts(split, cache=config.cache.path)
    apart = None if bursts is None else bursts.apart
    ranking, evaluation, without = _rank_and_evaluate(
        index, split, config.k, config, meter, apart=apart
    )
    burst_scores = None
    if bursts is not None and evaluation is not None and without is not None:
        burst_scores = BurstScores.compare(bursts, evaluation, without)
    costs = meter.costs(len(split.query))  # those of the first score only
    leakage_scores = _score_leakage(index, audited, config, learned=method.learns_from_labels)
    sheets = method.match_sheets
    return Result(
        split, ranking, evaluation, costs, audited.leaks, leakage_scores, burst_scores, sheets
    )


def _audit(config: Config, whole: Split, meter: Meter) -> AuditedSplit:
    with meter.stage("audit"):
        return splits.load_audited(
            config.data, seed=config.seed, cache=config.cache.path, whole=whole
        )


def _rank_and_evaluate(
    index: ReusedIndex,
    split: Split,
    k: Sequence[int],
    config: Config,
    meter: Meter,
    *,
    apart: Split | None = None,
) -> tuple[Ranking, Evaluation | None, Evaluation | None]:
    """Rank and score one block of queries after another.

    `apart` is the same split with more images excluded: the ranking is scored without them, too.

    All hits that the metrics need would not fit into memory if one class has most of the photos;
    the first ones are retained.
    """
    n, shown = len(split.query), config.contact_sheets.depth
    to_depth = depth(split, k, shown=shown)
    # A score depends neither on the other cutoffs nor on what is shown, whatever the index.
    searched = depth(split, [], shown=0) if split.labeled else to_depth
    evaluator = Evaluator(split, k=k) if split.labeled else None
    other = None if apart is None else Evaluator(apart, k=k)

    def score(blocks: RankedBlocks) -> RankedBlocks:
        for rows, block in blocks:
            if evaluator is not None:
                with meter.stage("evaluate"):
                    evaluator.add(rows, block)
                    if other is not None and apart is not None:
                        more = apart.exclusion.mask(rows, block.indices)
                        other.add(rows, block.without(more))
            yield rows, block

    gallery = index(split.gallery)
    blocks = score(gallery.query_blocks(split.query, searched, split.exclusion, full=split.labeled))
    retained = min(to_depth, max(shown, RECORDED_DEPTH, _RETAINED_HITS // n))
    ranking = join_blocks(blocks, n, retained)
    if evaluator is None:
        return ranking, None, None
    with meter.stage("evaluate"):
        statistics = partial(add_statistics, cluster=config.statistics.cluster, seed=config.seed)
        found = statistics(evaluator.result(), split)
        without = None
        if other is not None and apart is not None:
            without = statistics(other.result(), apart)
    return ranking, found, without


def _score_leakage(
    index: ReusedIndex, audited: AuditedSplit, config: Config, *, learned: bool
) -> LeakageScores | None:
    """Rank and evaluate the same photos once more, by the fitted method.

    Leaked photos are excluded if they were reported, and included if they were dropped. None if no
    photo leaks, photos have no labels, or no query is left to score; `learned` tells whether the
    method has learned from the labels of train.
    """
    if not audited.leaks or not audited.split.labeled:
        return None
    name: Literal["with_leaks", "without_leaks"] = "with_leaks"
    other: Split | None = audited.original
    if not audited.is_filtered:
        name = "without_leaks"
        other = exclude_leaks(audited.split, audited.leaks, learned=learned)
    if other is None or not count_relevant(other).any():
        return None
    cutoffs = [each for each in config.k if each <= other.exclusion.max_depth]
    if not cutoffs:
        return None
    try:
        _, evaluation, _ = _rank_and_evaluate(index, other, cutoffs, config, Meter())
    except BenchError as error:  # the headline is not lost for it
        _log.warning("no score %s: %s", name.replace("_", " "), error)
        return None
    return None if evaluation is None else LeakageScores(name, evaluation)


def check(config: Config, split: Split, method: Method) -> None:
    """Refuse a split that cannot be scored as requested, before any image is decoded.

    Raises
    ------
    BenchError
        If k is larger than the gallery, no query has a relevant image, or the method refuses.
    """
    check_captions(split, config.contact_sheets.captions)
    choose_unit(split, config.statistics.cluster)
    reachable = split.exclusion.max_depth
    if max(config.k) > reachable:
        raise BenchError(
            f"k={max(config.k)} is larger than the gallery of {split.name}, which has "
            f"{reachable} to find; give smaller cutoffs, such as "
            f"k=[{','.join(map(str, sorted({1, reachable})))}]"
        )
    if split.labeled and not count_relevant(split).any():
        raise nothing_relevant(split)
    method.check(split)


def depth(split: Split, k: Sequence[int], *, shown: int) -> int:
    """Return the depth to rank to: enough for MAP@R, the cutoffs, and the hits that are shown."""
    required = max(*k, shown, MIN_DEPTH)
    if split.labeled:
        required = max(required, int(count_relevant(split).max()))
    return min(required, split.exclusion.max_depth)
