"""python -m outliers_bench.leaderboard: the finished runs in MLflow, ranked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.invocation import as_called

_FILE_WIDTH = 200  # columns


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the leaderboard and write it to files.

    Parameters
    ----------
    arguments : sequence of str or None
        Command line; None takes the process' own.

    Returns
    -------
    int
        Exit code: 0, or 2 for a mistake that the user can mend.
    """
    options = _parser().parse_args(arguments)
    try:
        _show(options)
    except BenchError as error:
        print(f"error: {as_called(str(error))}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=as_called("python -m outliers_bench.leaderboard"),
        description="Rank the finished runs in MLflow, one table for each split of the data, on "
        "the terminal and as leaderboard.md, leaderboard.csv and leaderboard.html.",
    )
    parser.add_argument("--uri", default="sqlite:///mlflow.db", help="tracking URI (%(default)s)")
    parser.add_argument("--experiment", help="only the runs of this MLflow experiment")
    parser.add_argument("--data", help="only the runs on this data set")
    parser.add_argument(
        "--table",
        help="only the rows of this published table, those without a finished run as well",
    )
    parser.add_argument("--metric", default="hit_at_1", help="what to rank by (%(default)s)")
    parser.add_argument(
        "--format",
        default="all",
        help="which of terminal, md, csv, html, with commas between them (%(default)s)",
    )
    parser.add_argument(
        "--out", type=Path, default=Path(), help="where to write the files (working directory)"
    )
    parser.add_argument(
        "--ui",
        help="address of the MLflow UI that links to runs lead to (http://127.0.0.1:5000, where "
        "`make ui` serves; with a tracking server, that)",
    )
    return parser


def _show(options: argparse.Namespace) -> None:
    from rich.console import Console

    from outliers_bench.reports.leaderboard import read_boards, show_boards, write_boards
    from outliers_bench.reports.leaderboard.files import FORMATS, UI, check_formats, check_ui

    if not options.out.is_dir():
        raise BenchError(f"--out {options.out}: no such folder; make it first")
    asked = [name.strip() for name in options.format.split(",")]
    formats = FORMATS if asked == ["all"] else asked
    check_formats(formats)
    ui = options.uri if options.uri.startswith(("http://", "https://")) else UI
    if options.ui is not None:
        ui = options.ui
    check_ui(ui)
    boards, left_out = read_boards(
        options.uri,
        metric=options.metric,
        experiment=options.experiment,
        data=options.data,
        table=options.table,
    )
    # A file or a pipe has no width to fit into.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)
    if "terminal" in formats:
        show_boards(boards, metric=options.metric, console=console)
    for what, n in left_out.items():
        console.print(f"Left out: {n:,} finished run{'' if n == 1 else 's'} without {what}.")
    for path in write_boards(boards, options.out, metric=options.metric, formats=formats, ui=ui):
        console.print(f"Written: {path}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
