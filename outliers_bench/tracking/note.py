"""The description of a run in MLflow's UI, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from outliers_bench.reports import format as readable
from outliers_bench.types import Result

if TYPE_CHECKING:
    from outliers_bench.tracking.run import RunHandle


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
    parts = [
        f"**{handle.name}** on **{result.split.name}**",
        table(("metric", "value"), found) if found else "No labels, so nothing was scored.",
        table(("cost", ""), readable.costs(result)),
        table(("images", ""), readable.counts(result)),
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
