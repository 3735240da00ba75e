"""The description of a run in MLflow's UI, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from outliers_bench.reports import numbers as readable
from outliers_bench.reports.markdown import table
from outliers_bench.result import Result

_FIRST = ("hit@1", "hit@5", "hit@10", "MAP@R")


def describe_result(
    result: Result, *, name: str, run_id: str, overrides: Sequence[str], pictures: Sequence[str]
) -> str:
    """Say in Markdown what was run, what came out, what it took, and how to do it again.

    Parameters
    ----------
    result : Result
        What the run found.
    name, run_id : str
        The run's name and id.
    overrides : sequence of str
        What stood on the command line.
    pictures : sequence of str
        Names of the files under `pictures` among the run's artifacts.
    """
    found = readable.scores(result)
    # MLflow's page shows the first lines only until it is asked for more.
    first = " · ".join(f"{metric} **{value}**" for metric, value in found if metric in _FIRST)
    parts = [
        first or "No labels, so nothing was scored.",
        *([image_link(_main_picture(pictures), run_id)] if pictures else []),
        f"{name} on {result.split.name}",
        *([table(("metric", "value"), found)] if found else []),
        table(("images", ""), [*readable.counts(result), *readable.audit(result)]),
        table(("cost", ""), readable.costs(result)),
    ]
    if pictures:
        paths = ", ".join(f"`pictures/{name}`" for name in pictures)
        parts.append(f"All pictures, under Artifacts: {paths}")
    parts.append(f"Again:\n\n{rerun_command(overrides)}")
    return "\n\n".join(parts)


def rerun_command(overrides: Sequence[str]) -> str:
    """The command that repeats a run, to copy; with `skip_finished` it would only find the run."""
    words = [word for word in overrides if not word.lstrip("+").startswith("skip_finished=")]
    return f"```\n{readable.command(words)}\n```"


def image_link(name: str, run_id: str) -> str:
    """One of the run's pictures, as MLflow's UI shows it inside a description.

    The address counts from the UI's own page, so that it holds under any host and prefix.
    """
    return f"![{Path(name).stem}](get-artifact?path=pictures/{quote(name)}&run_uuid={run_id})"


def _main_picture(names: Sequence[str]) -> str:
    """The picture that says most of a run."""
    return next((name for name in names if Path(name).stem == "typical"), names[0])
