"""Text about photos that were taken together, and about their effect on the score."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from outliers_bench.reports.numbers import format_score, metric_title
from outliers_bench.result import Result

if TYPE_CHECKING:
    from outliers_bench.leakage.bursts import Bursts


def describe_bursts(metrics: Mapping[str, float], bursts: Bursts | None = None) -> str:
    """Describe the bursts of a run and their effect on the score; empty without bursts.

    Parameters
    ----------
    metrics : mapping of str to float
        Metrics of the run, by their names in MLflow.
    bursts : Bursts or None
        How they were recognized and what to do; None if only MLflow knows.

    Examples
    --------
    >>> scores = {"hit_at_1": 0.17, "without_bursts/hit_at_1": 0.12}
    >>> describe_bursts({"queries": 340, "queries_with_burst": 184, **scores})
    '184 of 340 queries have gallery photos of their own burst: hit@1 0.170, without them 0.120'
    """
    rescored = [name for name in metrics if name.startswith("without_bursts/")]
    if not rescored:
        return ""
    total = metrics["queries"] - metrics.get("queries_without_relevant", 0)
    evidence = "" if bursts is None else f" ({bursts.evidence})"
    metric = rescored[0].partition("/")[2]
    own = f"with_bursts/{metric}"
    left = ", of the queries that have others," if own in metrics else ""
    text = (
        f"{metrics['queries_with_burst']:,.0f} of {total:,.0f} queries have gallery photos of their"
        f" own burst{evidence}: {metric_title(metric)}{left} "
        f"{format_score(metrics.get(own, metrics[metric]))}, without them "
        f"{format_score(metrics[rescored[0]])}"
    )
    return text if bursts is None else f"{text}; {bursts.advice}"


def burst_rows(result: Result) -> list[tuple[str, str]]:
    """Return heading and text about bursts; empty without any."""
    if result.burst_scores is None or result.evaluation is None:
        return []
    metrics = {
        **result.evaluation.metrics,
        **result.burst_scores.metrics,
        "queries": len(result.split.query),
        "queries_without_relevant": result.evaluation.queries_without_relevant,
    }
    return [("bursts", describe_bursts(metrics, result.burst_scores.bursts))]
