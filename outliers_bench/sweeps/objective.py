"""The one number of a run that a sweep looks for the best value of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.names import is_score

_CUT_OFF = re.compile(r"(hit|precision)_at_(\d+)")
_COST = "such as objective=search_ms_per_query"


def check_objective(metric: str, k: Sequence[int], *, labelled: bool = True) -> None:
    """Refuse an objective that a run will not measure, as far as that is known before the work.

    Parameters
    ----------
    metric : str
        Its name in MLflow.
    k : sequence of int
        The run's cut-offs.
    labelled : bool
        Whether query and gallery have labels.

    Raises
    ------
    BenchError
        If it is a score at another cut-off, or a score where there are no labels.
    """
    found = _CUT_OFF.fullmatch(metric)
    if found and int(found[2]) not in k:
        raise BenchError(
            f"objective={metric}: {found[2]} is not among the cut-offs k={list(k)}; add it to k, "
            "or take another objective"
        )
    if is_score(metric) and not labelled:
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
