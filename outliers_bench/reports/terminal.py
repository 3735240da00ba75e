"""The end of a run on the terminal: scores, costs, what was left out, where to look next."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from outliers_bench.reports import numbers as readable
from outliers_bench.result import Result
from outliers_bench.runtime.invocation import as_called, open_store

if TYPE_CHECKING:
    from rich.console import Console

    from outliers_bench.result import FinishedRun, RunHandle

_NAME_WIDTH = 13
_INTERVAL = "  95%"  # how a line of intervals begins
_CUT_OFF = re.compile(r"(\w+)_at_(\d+)")


def show(
    result: Result,
    handle: RunHandle,
    *,
    pictures: Sequence[str] = (),
    console: Console | None = None,
) -> None:
    """Print a run that has just been recorded.

    Parameters
    ----------
    result : Result
        What was found.
    handle : RunHandle
        Where it was recorded.
    pictures : sequence of str
        Names of the contact sheets among the run's artifacts.
    console : rich console, optional
        Where to print; standard output unless given.
    """
    from rich.console import Console

    console = console or Console(highlight=False)
    found = result.evaluation
    metrics, intervals = ({}, {}) if found is None else (found.metrics, found.intervals)
    _print_scores(console, handle.name, result.split.name, metrics, intervals)
    for name, value in (
        *readable.counts(result),
        *readable.audit(result),
        *readable.costs(result),
    ):
        _print_fact(console, name, wrap(value, max(console.width - _NAME_WIDTH, 20)))
    if pictures:
        _print_fact(console, "pictures", [_place(f"{handle.artifact_uri}/pictures")])
    _print_fact(console, "MLflow run", [handle.run_id])
    _print_fact(console, "look at it", [as_called(open_store(handle.uri))])


def show_finished(run: FinishedRun, *, console: Console | None = None) -> None:
    """Print a run that was recorded earlier and has not been computed again.

    Parameters
    ----------
    run : FinishedRun
        From `tracking.entries.find_finished`.
    console : rich console, optional
        Where to print; standard output unless given.
    """
    from rich.console import Console

    console = console or Console(highlight=False)
    scores = ("hit_at_", "precision_at_", "map_at_r", "r_precision", "mrr")
    metrics = {name: v for name, v in run.metrics.items() if name.startswith(scores)}
    intervals = {
        name: (run.metrics[low], run.metrics[high])
        for name in metrics
        if {low := f"ci95/{name}_low", high := f"ci95/{name}_high"} <= run.metrics.keys()
    }
    _print_scores(console, run.name, run.data, metrics, intervals)
    if told := readable.leaks(run.metrics):
        _print_fact(console, "leaks", wrap(told, max(console.width - _NAME_WIDTH, 20)))
    when = datetime.fromtimestamp(run.begun).astimezone()
    _print_fact(console, "finished", [f"already, begun {when:%Y-%m-%d %H:%M}; nothing computed"])
    _print_fact(console, "MLflow run", [run.run_id])


def _print_scores(
    console: Console,
    name: str,
    data: str,
    metrics: Mapping[str, float],
    intervals: Mapping[str, tuple[float, float]],
) -> None:
    from rich.text import Text

    console.print()
    console.print(Text.assemble((name, "bold"), "  on  ", (data, "bold")), soft_wrap=True)
    for line in metric_lines(metrics, intervals) or ["No labels, so nothing was scored."]:
        style = "dim" if line.startswith(_INTERVAL) else ""
        console.print(Text(line, style=style), soft_wrap=True)
    console.print()


def _print_fact(console: Console, name: str, lines: Sequence[str]) -> None:
    """Print a name and its value; soft-wrapped, so that paths and commands copy whole."""
    from rich.text import Text

    for label, line in zip((name, *[""] * len(lines)), lines, strict=False):
        text = Text.assemble((label.ljust(_NAME_WIDTH), "dim"), line)
        console.print(text, soft_wrap=True)


def metric_lines(
    metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]] | None = None
) -> list[str]:
    r"""Scores as plain text: a small table of what has cut-offs, then the rest.

    Examples
    --------
    >>> found = {"hit_at_1": 0.5, "hit_at_10": 1.0, "mrr": 0.625}
    >>> print("\n".join(metric_lines(found)))
                      @1    @10
    hit            0.500  1.000
    MRR 0.625
    >>> known = {"hit_at_1": (0.25, 0.75), "hit_at_10": (0.75, 1.0), "mrr": (0.5, 0.75)}
    >>> print("\n".join(metric_lines(found, known)))
                            @1          @10
    hit                  0.500        1.000
      95%          0.250-0.750  0.750-1.000
    MRR                  0.625  0.500-0.750
    """
    spread = {name: readable.interval(ends) for name, ends in (intervals or {}).items()}
    width = 13 if spread else 7
    cut = {name: match for name in metrics if (match := _CUT_OFF.fullmatch(name))}
    cut_offs = sorted({int(match[2]) for match in cut.values()})
    lines = [_row("", [f"@{k}" for k in cut_offs], width)] if cut else []
    for family in dict.fromkeys(match[1] for match in cut.values()):
        names = [f"{family}_at_{k}" for k in cut_offs]
        cells = [readable.score(metrics[n]) if n in metrics else "" for n in names]
        lines.append(_row(family, cells, width))
        if spread:
            lines.append(_row(_INTERVAL, [spread.get(n, "") for n in names], width))
    rest = {n: readable.score(value) for n, value in metrics.items() if n not in cut}
    if spread:
        rows = ((readable.title(n), [value, spread.get(n, "")]) for n, value in rest.items())
        return [*lines, *(_row(name, cells, width) for name, cells in rows)]
    in_one = "   ".join(f"{readable.title(n)} {value}" for n, value in rest.items())
    return [line for line in (*lines, in_one) if line]


def _row(name: str, cells: Sequence[str], width: int) -> str:
    return name.ljust(_NAME_WIDTH) + "".join(cell.rjust(width) for cell in cells)


def _place(uri: str) -> str:
    """A folder on this machine as a path; any other place as it is."""
    parts = urlsplit(uri)
    return url2pathname(parts.path) if parts.scheme == "file" else uri
