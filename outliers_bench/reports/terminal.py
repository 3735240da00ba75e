"""Report of a run on the terminal: scores, counts, costs and locations."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from outliers_bench.evaluation.metrics import is_score
from outliers_bench.reports import numbers
from outliers_bench.reports.burst_rows import burst_rows, describe_bursts
from outliers_bench.reports.data_summary import data_rows
from outliers_bench.result import Result
from outliers_bench.runtime.invocation import ui_command, with_current_python

if TYPE_CHECKING:
    from rich.console import Console

    from outliers_bench.result import FinishedRun, RunHandle

_NAME_WIDTH = 13
_INTERVAL = "  95%"  # heading of a row of intervals
_CUT_OFF = re.compile(r"(\w+)_at_(\d+)")


def show_result(result: Result, name: str, *, console: Console | None = None) -> None:
    """Print scores, counts and costs of a run, by default to standard output."""
    console = console or _standard_output()
    evaluation = result.evaluation
    metrics = {} if evaluation is None else evaluation.metrics
    intervals = {} if evaluation is None else evaluation.intervals
    _print_scores(console, name, result.split.name, metrics, intervals)
    for label, value in (
        *numbers.statistics_rows(evaluation),
        *data_rows(result.split),
        *numbers.leakage_rows(result),
        *burst_rows(result),
        *numbers.cost_rows(result),
    ):
        _print_wrapped(console, label, value)


def show_record(
    run: RunHandle | None, pictures: str | None, *, console: Console | None = None
) -> None:
    """Print where pictures and record of a run are.

    Parameters
    ----------
    run : RunHandle or None
        The run in MLflow; None if it waits in the outbox.
    pictures : str or None
        Folder or URI of the pictures; None without any.
    console : rich console, optional
        Console to print to; standard output by default.
    """
    console = console or _standard_output()
    if pictures is not None:
        _print_fact(console, "pictures", [_local_path(pictures)])
    if run is not None:
        _print_fact(console, "MLflow run", [run.run_id])
        _print_fact(console, "open", [with_current_python(ui_command(run.uri))])


def show_finished(run: FinishedRun, *, console: Console | None = None) -> None:
    """Print the report of a run that finished earlier and was not computed again."""
    console = console or _standard_output()
    metrics = {n: value for n, value in run.metrics.items() if is_score(n) and "/" not in n}
    intervals = {
        name: (run.metrics[low], run.metrics[high])
        for name in metrics
        if {low := f"ci95/{name}_low", high := f"ci95/{name}_high"} <= run.metrics.keys()
    }
    _print_scores(console, run.name, run.data, metrics, intervals)
    for label, value in numbers.describe_statistics(run.metrics, run.cluster):
        _print_wrapped(console, label, value)
    if text := numbers.describe_leakage(run.metrics):
        _print_wrapped(console, "leakage", text)
    if text := describe_bursts(run.metrics):
        _print_wrapped(console, "bursts", text)
    started = datetime.fromtimestamp(run.begun).astimezone()
    status = f"already, started {started:%Y-%m-%d %H:%M}; nothing computed"
    _print_fact(console, "finished", [status])
    _print_fact(console, "MLflow run", [run.run_id])


def _standard_output() -> Console:
    from rich.console import Console

    return Console(highlight=False)


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
    for line in format_metrics(metrics, intervals) or ["No labels, so nothing was scored."]:
        style = "dim" if line.startswith(_INTERVAL) else ""
        console.print(Text(line, style=style), soft_wrap=True)
    console.print()


def _print_wrapped(console: Console, name: str, value: str) -> None:
    _print_fact(console, name, wrap(value, max(console.width - _NAME_WIDTH, 20)))


def _print_fact(console: Console, name: str, lines: Sequence[str]) -> None:
    """Print a name and its value, soft-wrapped so that paths and commands can be copied."""
    from rich.text import Text

    for label, line in zip((name, *[""] * len(lines)), lines, strict=False):
        text = Text.assemble((label.ljust(_NAME_WIDTH), "dim"), line)
        console.print(text, soft_wrap=True)


def format_metrics(
    metrics: Mapping[str, float], intervals: Mapping[str, tuple[float, float]] | None = None
) -> list[str]:
    r"""Format scores as plain text: a table of those with cutoffs, then the others.

    Examples
    --------
    >>> metrics = {"hit_at_1": 0.5, "hit_at_10": 1.0, "mrr": 0.625}
    >>> print("\n".join(format_metrics(metrics)))
                      @1    @10
    hit            0.500  1.000
    MRR            0.625
    >>> intervals = {"hit_at_1": (0.25, 0.75), "hit_at_10": (0.75, 1.0), "mrr": (0.5, 0.75)}
    >>> print("\n".join(format_metrics(metrics, intervals)))
                            @1          @10
    hit                  0.500        1.000
      95%          0.250-0.750  0.750-1.000
    MRR                  0.625  0.500-0.750
    """
    interval_text = {
        name: numbers.format_interval(ends) for name, ends in (intervals or {}).items()
    }
    width = 13 if interval_text else 7
    with_cut_off = {name: match for name in metrics if (match := _CUT_OFF.fullmatch(name))}
    cut_offs = sorted({int(match[2]) for match in with_cut_off.values()})
    lines = [_row("", [f"@{k}" for k in cut_offs], width)] if with_cut_off else []
    for family in dict.fromkeys(match[1] for match in with_cut_off.values()):
        names = [f"{family}_at_{k}" for k in cut_offs]
        cells = [numbers.format_metric(n, metrics[n]) if n in metrics else "" for n in names]
        lines.append(_row(numbers.metric_title(names[0]).partition("@")[0], cells, width))
        if interval_text:
            lines.append(_row(_INTERVAL, [interval_text.get(n, "") for n in names], width))
    for name in [name for name in metrics if name not in with_cut_off]:
        cells = [numbers.format_metric(name, metrics[name]), interval_text.get(name, "")]
        lines.append(_row(numbers.metric_title(name), cells, width).rstrip())
    return lines


def format_rows(rows: Sequence[tuple[str, str]], width: int = _NAME_WIDTH) -> list[str]:
    """Format headings, padded to a width in characters, and texts as lines."""
    return [f"{heading.ljust(width)}{text}" for heading, text in rows]


def _row(name: str, cells: Sequence[str], width: int) -> str:
    return name.ljust(_NAME_WIDTH) + "".join(cell.rjust(width) for cell in cells)


def _local_path(uri: str) -> str:
    """Return the path of a `file:` URI; any other URI unchanged."""
    parts = urlsplit(uri)
    return url2pathname(parts.path) if parts.scheme == "file" else uri
