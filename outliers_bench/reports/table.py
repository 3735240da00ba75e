"""The end of a run on the terminal: scores, costs, what was left out, where to look next."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from datetime import datetime
from textwrap import wrap
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from outliers_bench.reports import format as readable
from outliers_bench.types import Result

if TYPE_CHECKING:
    from rich.console import Console

    from outliers_bench.tracking.entries import FinishedRun, RunHandle

_NAME_WIDTH = 13
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
    metrics = {} if result.evaluation is None else result.evaluation.metrics
    _print_scores(console, handle.name, result.split.name, metrics)
    for name, value in (*readable.counts(result), *readable.costs(result)):
        _print_fact(console, name, wrap(value, max(console.width - _NAME_WIDTH, 20)))
    if pictures:
        _print_fact(console, "pictures", [_place(f"{handle.artifact_uri}/pictures")])
    _print_fact(console, "MLflow run", [handle.run_id])
    _print_fact(console, "look at it", [how_to_look(handle.uri)])


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
    _print_scores(console, run.name, run.data, metrics)
    when = datetime.fromtimestamp(run.begun).astimezone()
    _print_fact(console, "finished", [f"already, begun {when:%Y-%m-%d %H:%M}; nothing computed"])
    _print_fact(console, "MLflow run", [run.run_id])


def _print_scores(console: Console, name: str, data: str, metrics: Mapping[str, float]) -> None:
    from rich.text import Text

    console.print()
    console.print(Text.assemble((name, "bold"), "  on  ", (data, "bold")), soft_wrap=True)
    for line in metric_lines(metrics) or ["No labels, so nothing was scored."]:
        console.print(Text(line), soft_wrap=True)
    console.print()


def _print_fact(console: Console, name: str, lines: Sequence[str]) -> None:
    """Print a name and its value; soft-wrapped, so that paths and commands copy whole."""
    from rich.text import Text

    for label, line in zip((name, *[""] * len(lines)), lines, strict=False):
        text = Text.assemble((label.ljust(_NAME_WIDTH), "dim"), line)
        console.print(text, soft_wrap=True)


def metric_lines(metrics: Mapping[str, float]) -> list[str]:
    r"""Scores as plain text: a small table of what has cut-offs, then the rest in one line.

    Examples
    --------
    >>> print("\n".join(metric_lines({"hit_at_1": 0.5, "hit_at_10": 1.0, "mrr": 0.625})))
                      @1    @10
    hit            0.500  1.000
    MRR 0.625
    """
    cut = {name: match for name in metrics if (match := _CUT_OFF.fullmatch(name))}
    cut_offs = sorted({int(match[2]) for match in cut.values()})
    lines = [" " * _NAME_WIDTH + "".join(f"@{k}".rjust(7) for k in cut_offs)] if cut else []
    for family in dict.fromkeys(match[1] for match in cut.values()):
        values = (metrics.get(f"{family}_at_{k}") for k in cut_offs)
        cells = ("" if value is None else readable.score(value) for value in values)
        lines.append(family.ljust(_NAME_WIDTH) + "".join(cell.rjust(7) for cell in cells))
    rest = (f"{readable.title(n)} {readable.score(v)}" for n, v in metrics.items() if n not in cut)
    return [line for line in (*lines, "   ".join(rest)) if line]


def how_to_look(uri: str) -> str:
    """The command or address that opens a tracking store."""
    if uri.startswith(("http://", "https://")):
        return uri
    return f"make ui   or   mlflow ui --backend-store-uri {shlex.quote(uri)} --host 127.0.0.1"


def _place(uri: str) -> str:
    """A folder on this machine as a path; any other place as it is."""
    parts = urlsplit(uri)
    return url2pathname(parts.path) if parts.scheme == "file" else uri
