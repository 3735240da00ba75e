"""Command `python -m outliers_bench leaderboard`, which ranks the finished runs in MLflow."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from urllib.parse import urlsplit

from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main

PROGRAM = "python -m outliers_bench.leaderboard"
_FILE_WIDTH = 200  # columns


@dataclass
class Leaderboard:
    """Rank the finished runs in MLflow, one table for each split of the data.

    Shown on the terminal and written to leaderboard.md, leaderboard.csv and leaderboard.html.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.
    experiment : str or None
        Only the runs of this MLflow experiment.
    data : str or None
        Only the runs on this data set.
    table : str or None
        Only the rows of this published table, including those without a finished run.
    metric : str
        Metric to rank by.
    balanced : bool
        Rank by the mean of the metric over classes instead of queries, `balanced/<metric>`.
    format : list of str
        Any of terminal, md, csv, html, separated by commas; all for all four.
    out : str
        Folder to write the files to.
    ui : str or None
        Address of the MLflow UI for links to runs; null is http://127.0.0.1:5000, where
        `make ui` serves, or the tracking server.
    """

    uri: str = "sqlite:///mlflow.db"
    experiment: str | None = None
    data: str | None = None
    table: str | None = None
    metric: str = "hit_at_1"
    balanced: bool = False
    format: list[str] = field(default_factory=lambda: ["all"])
    out: str = "."
    ui: str | None = None


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Leaderboard, show, program=PROGRAM, arguments=arguments)


def show(options: Leaderboard) -> None:
    """Print the leaderboard and write it to files.

    Raises
    ------
    BenchError
        If an option is invalid or the store has no such runs.
    """
    for entry in fields(options):
        value = getattr(options, entry.name)
        if isinstance(value, str) and not value.strip():
            raise BenchError(f"{entry.name}= is empty; omit it to use the default")
    from outliers_bench.data.image_files import absolute_path

    out = absolute_path(options.out, "out")
    if not out.is_dir():
        raise BenchError(f"out={options.out}: no such folder; create it first")
    from rich.console import Console

    from outliers_bench.leaderboard import read_boards, show_boards, write_boards
    from outliers_bench.leaderboard.write import FORMATS, UI

    requested = [name.strip() for name in options.format]
    if not any(requested):
        raise BenchError("format= is empty; omit it to use the default")
    formats = FORMATS if requested == ["all"] else requested
    for name in formats:
        if name not in FORMATS:
            raise BenchError(f"no format {name}; available: {', '.join(FORMATS)}")
    ui = options.ui or (options.uri if _is_web_address(options.uri) else UI)
    if not _is_web_address(ui):
        raise BenchError(f"ui={ui}: no web address; give one such as {UI}")
    metric = balanced_metric(options.metric) if options.balanced else options.metric
    boards, excluded = read_boards(
        options.uri,
        metric=metric,
        experiment=options.experiment,
        data=options.data,
        table=options.table,
    )
    # A file or a pipe has no width.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)
    if "terminal" in formats:
        show_boards(boards, metric=metric, console=console)
    for missing, n in excluded.items():
        runs = "run" if n == 1 else "runs"
        console.print(f"Excluded: {n:,} finished {runs} without {missing}.")
    for path in write_boards(boards, out, metric=metric, formats=formats, ui=ui):
        console.print(f"Written: {path}", soft_wrap=True)


def balanced_metric(metric: str) -> str:
    """Return the name of the class-balanced mean of a metric.

    Raises
    ------
    BenchError
        If the metric has no values per query.
    """
    from outliers_bench.evaluation.metrics import BALANCED, find_metric

    found = find_metric(metric)
    if found is None or not found.per_query:
        raise BenchError(
            f"balanced=true: {metric} has no value per query, and no mean over classes; give a "
            "score such as metric=hit_at_1"
        )
    return f"{BALANCED}{metric.removeprefix(BALANCED)}"


def _is_web_address(text: str) -> bool:
    try:
        parts = urlsplit(text)
    except ValueError:  # an unclosed bracket
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
