"""Second score of a run: the same method on the same photos with, or without, leaked photos."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

from outliers_bench.errors import BenchError
from outliers_bench.evaluation import confidence_intervals, count_relevant, evaluate
from outliers_bench.leakage.policy import AuditedSplit
from outliers_bench.leakage.remove import exclude_leaks
from outliers_bench.methods.method import GallerySearch
from outliers_bench.result import LeakageScores
from outliers_bench.types import ImageSet, Split

_log = logging.getLogger(__name__)


def score_leakage(
    index: Callable[[ImageSet], GallerySearch],
    audited: AuditedSplit,
    *,
    learned: bool,
    k: Sequence[int],
    seed: int,
    depth: Callable[[Split, Sequence[int]], int],
) -> LeakageScores | None:
    """Rank once more with the fitted method and evaluate.

    Leaked photos are excluded if they were reported, and included if they were dropped.

    Parameters
    ----------
    index : callable
        Indexes a gallery by the fitted method, with features of all photos; see `ReusedIndex`.
    audited : AuditedSplit
        Without unreadable photos.
    learned : bool
        Whether the method has learned from the labels of train.
    k : sequence of int
        Cutoffs; those that are larger than the gallery are left out.
    seed : int
        Seed of the intervals.
    depth : callable
        Returns the depth to rank a split to, given the split and the cutoffs.

    Returns
    -------
    LeakageScores or None
        None if no photo leaks, photos have no labels, or no query is left to score.
    """
    if not audited.leaks or not audited.split.labeled:
        return None
    other = audited.original
    if not audited.is_filtered:
        cleaned = exclude_leaks(audited.split, audited.leaks, learned=learned)
        if cleaned is None:
            return None
        other = cleaned
    cutoffs = [each for each in k if each <= other.exclusion.max_depth]
    if not cutoffs or not count_relevant(other).any():
        return None
    try:
        to_depth = depth(other, cutoffs)
        ranking = index(other.gallery).query(other.query, to_depth, other.exclusion)
    except BenchError as error:  # the headline is not lost for it
        _log.warning("no score %s leaks: %s", "with" if audited.is_filtered else "without", error)
        return None
    found = evaluate(ranking, other, k=cutoffs)
    intervals = confidence_intervals(found.per_query, seed=seed)
    name: Literal["with_leaks", "without_leaks"]
    name = "with_leaks" if audited.is_filtered else "without_leaks"
    return LeakageScores(name, replace(found, intervals=intervals))
