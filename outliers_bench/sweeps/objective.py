"""Objective of a sweep: the metric that it optimizes."""

from __future__ import annotations

import re
from collections.abc import Sequence

from outliers_bench.config import renamed
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metrics import METRICS, cutoff_of, is_score
from outliers_bench.result import FinishedRun, Result
from outliers_bench.runtime.command_line import instead

_INTERVAL = re.compile(r"ci95/([\w/]+)_(low|high)")
_COMMON = (
    *(metric.name for metric in METRICS if not metric.is_family),
    *("images_per_second", "search_ms_per_query"),
    *("recall_at_10", "index_bytes", "index_build_seconds", "peak_memory_bytes", "dimensions"),
)
# Metrics of some runs: training, ensembles, keypoints, and seconds per stage.
_OTHERS = re.compile(
    r"queries|(gallery|train)_images|(images|files)_\w+|classes(_of_one_image)?"
    r"|queries_(without_relevant|of_unseen_classes)|(features|keypoints)_(computed|reused)"
    r"|(rerank_)?images_without_keypoints|training_seconds|training_reused|best_val_accuracy"
    r"|(\w+_)?((val_)?(loss|accuracy|top_5_accuracy)|learning_rate|epoch_seconds|epochs|best_epoch)"
    r"|seconds_\w+|map_at_r_tuning|(weight|slope)_.+"
)
_COST = "such as objective=search_ms_per_query"


def check_metric_name(metric: str, k: Sequence[int]) -> None:
    """Raise BenchError if a name is not one of a metric; suggest names with the cutoffs `k`."""
    if current := renamed.METRICS.get(metric):
        raise BenchError(f"objective={metric} was renamed; use objective={current}")
    plain = _of_interval(metric)
    if is_score(plain) or (plain == metric and (metric in _COMMON or _OTHERS.fullmatch(metric))):
        return
    families = [metric.name.removesuffix("k") for metric in METRICS if metric.is_family]
    names = [f"{family}{cut_off}" for family in families for cut_off in k]
    raise BenchError(f"objective={metric}: no metric of a run{instead(metric, [*names, *_COMMON])}")


def check_objective(metric: str, k: Sequence[int], *, labeled: bool = True) -> None:
    """Check that a run with cutoffs `k` will measure an objective, as far as known beforehand.

    Raises
    ------
    BenchError
        If it is not a metric, has another cutoff, or is a score and query and gallery have no
        labels.
    """
    check_metric_name(metric, k)
    plain = _of_interval(metric)
    cut_off = cutoff_of(plain)
    if cut_off is not None and cut_off not in k:
        raise BenchError(
            f"objective={metric}: {cut_off} is not among the cutoffs k={list(k)}; add it to k, "
            "or choose another objective"
        )
    if is_score(plain) and not labeled:
        raise BenchError(
            f"objective={metric}: query and gallery have no labels, so there are no scores; "
            f"add labels, or choose a cost, {_COST}"
        )


def objective_of(outcome: Result | FinishedRun, metric: str) -> float:
    """Return the objective of a job, from its own or a reused run; raise BenchError without one."""
    from outliers_bench.tracking.log_result import collect_metrics

    metrics = collect_metrics(outcome) if isinstance(outcome, Result) else outcome.metrics
    if metric not in metrics:
        known = ", ".join(name for name in metrics if "/" not in name)
        raise BenchError(f"objective={metric}: the run has no such metric (available: {known})")
    return metrics[metric]


def is_of_queries(metric: str) -> bool:
    """Check whether an objective is a score, or an end of its interval, and no cost."""
    return is_score(_of_interval(metric))


def _of_interval(metric: str) -> str:
    """Return the score of which a metric is the end of a 95% interval; else the metric itself."""
    match = _INTERVAL.fullmatch(metric)
    return match[1] if match else metric
