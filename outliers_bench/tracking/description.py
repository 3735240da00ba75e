"""Markdown description of a run for the MLflow UI."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from outliers_bench.reports import numbers
from outliers_bench.reports.burst_rows import burst_rows
from outliers_bench.reports.data_summary import data_rows
from outliers_bench.reports.markdown import table
from outliers_bench.result import Result

_FIRST = ("hit@1", "hit@5", "hit@10", "MAP@R")


def describe_result(
    result: Result, *, name: str, run_id: str, overrides: Sequence[str], pictures: Sequence[str]
) -> str:
    """Describe the method, scores, counts, costs and command of a run in Markdown.

    `pictures` are the names of the files under `pictures` in the run's artifacts.
    """
    scores = numbers.score_rows(result)
    statistics = numbers.statistics_rows(result.evaluation)
    # MLflow's page shows only the first lines until it is expanded.
    first = " · ".join(f"{metric} **{value}**" for metric, value in scores if metric in _FIRST)
    audited = [*numbers.leakage_rows(result), *burst_rows(result)]
    parts = [
        first or "No labels, so nothing was scored.",
        *([image_link(_main_picture(pictures), run_id)] if pictures else []),
        f"{name} on {result.split.name}",
        *([table(("metric", "value"), scores)] if scores else []),
        *([table(("statistics", ""), statistics)] if statistics else []),
        table(("images", ""), [*data_rows(result.split), *audited]),
        table(("cost", ""), numbers.cost_rows(result)),
    ]
    if pictures:
        paths = ", ".join(f"`pictures/{name}`" for name in pictures)
        parts.append(f"All pictures, under Artifacts: {paths}")
    parts.append(f"Repeat:\n\n{rerun_command(overrides)}")
    return "\n\n".join(parts)


def rerun_command(overrides: Sequence[str]) -> str:
    """Return the command that repeats a run, without `skip_finished`, which would skip it."""
    words = [word for word in overrides if not word.lstrip("+").startswith("skip_finished=")]
    return f"```\n{numbers.repeat_command(words)}\n```"


def image_link(name: str, run_id: str) -> str:
    """Return the Markdown that shows one of the run's pictures in the MLflow UI.

    The URL is relative to the UI's page, so it works with any host and prefix.
    """
    return f"![{Path(name).stem}](get-artifact?path=pictures/{quote(name)}&run_uuid={run_id})"


def _main_picture(names: Sequence[str]) -> str:
    """Return the most informative picture of a run."""
    return next((name for name in names if Path(name).stem == "typical"), names[0])
