"""The one number of a run that a sweep looks for the best value of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from outliers_bench.config.hydra_errors import instead
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metric_names import is_score

_CUT_OFF = re.compile(r"(hit|precision)_at_(\d+)")
_INTERVAL = re.compile(r"ci95/(\w+)_(low|high)")
_USUAL = (
    *("map_at_r", "r_precision", "mrr", "images_per_second", "search_ms_per_query"),
    *("recall_at_10", "index_bytes", "index_build_seconds", "peak_memory_bytes", "dimensions"),
)
# What only some runs have: trainings, ensembles, keypoints, and how long which stage took.
_OTHERS = re.compile(
    r"queries|(gallery|train)_images|images_un\w+|images_(duplicate|conflicting_labels)"
    r"|queries_(unanswerable|of_unseen_classes)|(features|keypoints)_(computed|reused)"
    r"|(rerank_)?images_without_keypoints|training_(seconds|kept)|best_val_accuracy"
    r"|(\w+_)?((val_)?(loss|accuracy|top_5_accuracy)|learning_rate|epoch_seconds|epochs|best_epoch)"
    r"|seconds_\w+|map_at_r_tuning|(weight|slope)_.+"
)
_COST = "such as objective=search_ms_per_query"


def check_known(metric: str, k: Sequence[int]) -> None:
    """Refuse what is the name of no metric of any run.

    Parameters
    ----------
    metric : str
        Its name in MLflow.
    k : sequence of int
        The run's cut-offs; they decide which names are proposed instead.

    Raises
    ------
    BenchError
        If there is no such metric; names the nearest.
    """
    plain = _of_interval(metric)
    if is_score(plain) or (plain == metric and (metric in _USUAL or _OTHERS.fullmatch(metric))):
        return
    cut = [f"{name}_at_{cut_off}" for name in ("hit", "precision") for cut_off in k]
    raise BenchError(f"objective={metric}: no metric of a run{instead(metric, [*cut, *_USUAL])}")


def check_objective(metric: str, k: Sequence[int], *, labeled: bool = True) -> None:
    """Refuse an objective that a run will not measure, as far as that is known before the work.

    Parameters
    ----------
    metric : str
        Its name in MLflow.
    k : sequence of int
        The run's cut-offs.
    labeled : bool
        Whether query and gallery have labels.

    Raises
    ------
    BenchError
        If it is no metric, a score at another cut-off, or a score where there are no labels.
    """
    check_known(metric, k)
    plain = _of_interval(metric)
    found = _CUT_OFF.fullmatch(plain)
    if found and int(found[2]) not in k:
        raise BenchError(
            f"objective={metric}: {found[2]} is not among the cut-offs k={list(k)}; add it to k, "
            "or take another objective"
        )
    if is_score(plain) and not labeled:
        raise BenchError(
            f"objective={metric}: query and gallery have no labels, so nothing is scored; give "
            f"labels, or take a cost, {_COST}"
        )


def objective_of(metrics: Mapping[str, float], metric: str) -> float:
    """The value of the objective among the metrics of a finished run.

    Raises
    ------
    BenchError
        If the run has no such metric; names those it has.
    """
    if metric not in metrics:
        known = ", ".join(name for name in metrics if "/" not in name)
        raise BenchError(f"objective={metric}: the run has no such metric (there is: {known})")
    return metrics[metric]


def _of_interval(metric: str) -> str:
    """The score whose 95% interval a metric is an end of; else the metric itself."""
    found = _INTERVAL.fullmatch(metric)
    return found[1] if found else metric
