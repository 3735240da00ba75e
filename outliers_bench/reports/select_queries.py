"""Random selection of queries to show: some of the best, the typical and the worst."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.result import Result
from outliers_bench.types import FloatArray, IntArray

_METRICS = ("map_at_r", "mrr")


@dataclass(frozen=True)
class SelectedQuery:
    """A query to show: its row, and its quality if there are labels."""

    row: int
    quality: float | None


def quality_metric(result: Result) -> str:
    """Return the metric that orders queries from worst to best; empty without labels."""
    if result.evaluation is None:
        return ""
    names = result.evaluation.per_query
    return next((name for name in _METRICS if name in names), next(iter(names)))


def select_queries(result: Result, *, queries: int, seed: int) -> dict[str, list[SelectedQuery]]:
    """Select queries to show.

    Parameters
    ----------
    result : Result
        Result of a run.
    queries : int
        Number of queries in each list.
    seed : int
        Seed of the selection.

    Returns
    -------
    dict of str to list of SelectedQuery
        `best` from the top tenth of the scored queries, `typical` from the tenth around the
        median, `worst` from the bottom tenth; each best first, and of different classes if there
        are enough. Without labels `sample`, from all queries.
    """
    rng = np.random.default_rng(seed)
    labels = result.split.query.labels
    if result.evaluation is None:
        pool = np.arange(len(result.split.query), dtype=np.int64)
        rows = _draw_across_classes(pool, None, queries, rng)
        return {"sample": [SelectedQuery(int(row), None) for row in sorted(rows)]}
    ordered, quality = _sort_best_first(result.evaluation, quality_metric(result), rng)
    n = len(ordered)
    share = min(n, max(math.ceil(n / 10), queries))
    middle = (n - share) // 2
    pools = {
        "best": slice(0, share),
        "typical": slice(middle, middle + share),
        "worst": slice(n - share, n),
    }
    selected = {}
    for name, part in pools.items():
        values = dict(zip(ordered[part].tolist(), quality[part].tolist(), strict=True))
        rows = _draw_across_classes(ordered[part], labels, queries, rng)
        best_first = sorted(rows, key=lambda row: (-values[row], row))
        selected[name] = [SelectedQuery(row, values[row]) for row in best_first]
    return selected


def _sort_best_first(
    evaluation: Evaluation, metric: str, rng: np.random.Generator
) -> tuple[IntArray, FloatArray]:
    """Return scored queries and their quality; ties in random order, as rows are in class order."""
    quality = evaluation.per_query[metric]
    second = evaluation.per_query.get("mrr", quality)
    order = np.lexsort((rng.random(len(quality)), -second, -quality))
    return evaluation.scored[order], quality[order].astype(np.float32)


def _draw_across_classes(
    pool: IntArray, labels: IntArray | None, n: int, rng: np.random.Generator
) -> list[int]:
    """Draw up to `n` of the pool; a class is repeated only after each has been drawn once."""
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
