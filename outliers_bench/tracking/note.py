"""The description of a run in MLflow's UI, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from outliers_bench.reports import format as readable
from outliers_bench.types import Result

if TYPE_CHECKING:
    from outliers_bench.tracking.run import RunHandle

_FIRST = ("hit@1", "hit@5", "hit@10", "MAP@R")


def describe_result(handle: RunHandle, result: Result, *, pictures: Sequence[str]) -> str:
    """Say in Markdown what was run, what came out, what it took, and how to do it again.

    Parameters
    ----------
    handle : RunHandle
        The run.
    result : Result
        What it found.
    pictures : sequence of str
        Names of the contact sheets among the run's artifacts.
    """
    found = readable.scores(result)
    # MLflow's page shows the first lines only until it is asked for more.
    first = " · ".join(f"{name} **{value}**" for name, value in found if name in _FIRST)
    parts = [
        first or "No labels, so nothing was scored.",
        f"{handle.name} on {result.split.name}",
        *([table(("metric", "value"), found)] if found else []),
        table(("images", ""), readable.counts(result)),
        table(("cost", ""), readable.costs(result)),
    ]
    if pictures:
        paths = ", ".join(f"`pictures/{name}.jpg`" for name in pictures)
        parts.append(f"Pictures, under Artifacts: {paths}")
    parts.append(f"Again:\n\n```\n{readable.command(handle.overrides)}\n```")
    return "\n\n".join(parts)


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table; bars in cells are escaped."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(
        "| " + " | ".join(str(cell).replace("|", "\\|") for cell in line) + " |" for line in lines
    )
