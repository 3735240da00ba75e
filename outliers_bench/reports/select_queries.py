"""Which queries to show: some of the best, the typical and the worst, drawn with a seed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.result import Result
from outliers_bench.types import FloatArray, IntArray

_MEASURES = ("map_at_r", "mrr")


@dataclass(frozen=True)
class Pick:
    """A query to show: its position, and how well it went where that is known."""

    row: int
    quality: float | None


def quality_name(result: Result) -> str:
    """The metric that orders queries from worst to best; empty without labels."""
    if result.evaluation is None:
        return ""
    names = result.evaluation.per_query
    return next((name for name in _MEASURES if name in names), next(iter(names)))


def pick_queries(result: Result, *, queries: int, seed: int) -> dict[str, list[Pick]]:
    """Choose queries to show.

    Parameters
    ----------
    result : Result
        What a run found.
    queries : int
        How many for each list.
    seed : int
        Decides which.

    Returns
    -------
    dict of str to list of Pick
        `best` from the top tenth of the scored queries, `typical` from the tenth around the
        median, `worst` from the bottom tenth, best first, of different classes where there are
        enough; or `sample` from all queries where nothing was scored.
    """
    rng = np.random.default_rng(seed)
    labels = result.split.query.labels
    if result.evaluation is None:
        everyone = np.arange(len(result.split.query), dtype=np.int64)
        rows = _of_different_classes(everyone, None, queries, rng)
        return {"sample": [Pick(int(row), None) for row in sorted(rows)]}
    ordered, quality = _best_first(result.evaluation, quality_name(result), rng)
    n = len(ordered)
    share = min(n, max(math.ceil(n / 10), queries))
    middle = (n - share) // 2
    pools = {
        "best": slice(0, share),
        "typical": slice(middle, middle + share),
        "worst": slice(n - share, n),
    }
    picks = {}
    for name, where in pools.items():
        values = dict(zip(ordered[where].tolist(), quality[where].tolist(), strict=True))
        rows = _of_different_classes(ordered[where], labels, queries, rng)
        best_first = sorted(rows, key=lambda row: (-values[row], row))
        picks[name] = [Pick(row, values[row]) for row in best_first]
    return picks


def _best_first(
    evaluation: Evaluation, measure: str, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Scored queries and their quality; equals in random order, as files come by class."""
    quality = evaluation.per_query[measure]
    second = evaluation.per_query.get("mrr", quality)
    order = np.lexsort((rng.random(len(quality)), -second, -quality))
    return evaluation.scored[order], quality[order].astype(np.float32)


def _of_different_classes(
    pool: IntArray, labels: IntArray | None, n: int, rng: np.random.Generator
) -> list[int]:
    """Draw up to `n` of the pool, a class a second time only once each had its turn."""
    shuffled = rng.permutation(pool)
    if labels is None:
        return [int(row) for row in shuffled[:n]]
    seen: dict[int, int] = {}
    turns = []
    for row in shuffled:
        label = int(labels[row])
        turns.append(seen.get(label, 0))
        seen[label] = turns[-1] + 1
    return [int(row) for row in shuffled[np.argsort(turns, kind="stable")][:n]]
