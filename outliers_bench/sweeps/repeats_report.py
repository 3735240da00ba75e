"""Report of a repeated run: on the terminal, and as the description in MLflow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.reports import numbers
from outliers_bench.reports.markdown import table
from outliers_bench.tracking.description import rerun_command

_SHOWN = ("hit_at_1", "map_at_r")


def split_line(title: str, metrics: Mapping[str, float]) -> str:
    """Return a line with the main scores of one split."""
    scores = [
        f"{numbers.metric_title(name)} {numbers.format_metric(name, metrics[name])}"
        for name in _SHOWN
        if name in metrics
    ]
    return f"{title:13}{'   '.join(scores)}   {metrics['queries']:,.0f} queries"


def summary(metrics: Mapping[str, float], pooled: Evaluation) -> list[str]:
    """Return a line for each score: mean, spread between splits, interval within."""
    lines = ["", f"{'':13}{'mean':>8}{'spread':>9}{'95%':>14}"]
    for name, value in pooled.metrics.items():
        deviation = metrics.get(f"spread/{name}")
        cells = (
            numbers.format_metric(name, value),
            "" if deviation is None else f"±{deviation:.3f}",
            numbers.format_interval(pooled.intervals[name]) if name in pooled.intervals else "",
        )
        lines.append(f"{numbers.metric_title(name):13}{cells[0]:>8}{cells[1]:>9}{cells[2]:>14}")
    statistics = numbers.describe_statistics(
        metrics, pooled.clusters.unit if pooled.clusters else ""
    )
    return [*lines, "", *(f"{label:13}{text}" for label, text in statistics)]


def describe(
    metrics: Mapping[str, float],
    by_split: Sequence[Mapping[str, float]],
    pooled: Evaluation,
    overrides: Sequence[str],
) -> str:
    """Return the description of the run in MLflow; `by_split` has the metrics of each split."""
    scores = [
        (
            numbers.metric_title(name),
            numbers.format_metric(name, value),
            f"±{metrics.get(f'spread/{name}', np.nan):.3f}",
            numbers.format_interval(pooled.intervals[name]) if name in pooled.intervals else "",
        )
        for name, value in pooled.metrics.items()
    ]
    splits = [
        (
            str(number),
            *(numbers.format_metric(name, own[name]) for name in pooled.metrics),
        )
        for number, own in enumerate(by_split)
    ]
    return "\n\n".join(
        (
            f"{len(by_split)} splits; mean over all their queries, standard deviation between the "
            "splits, and 95% interval within",
            table(("metric", "mean", "spread", "95%"), scores),
            table(("split", *map(numbers.metric_title, pooled.metrics)), splits),
            f"Repeat:\n\n{rerun_command(overrides)}",
        )
    )
