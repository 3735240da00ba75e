"""python -m outliers_bench.leaderboard: the finished runs in MLflow, ranked."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from outliers_bench.errors import BenchError

_FILE_WIDTH = 160  # columns


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
        print(f"error: {error}", file=sys.stderr)
        return 2
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m outliers_bench.leaderboard",
        description="Rank the finished runs in MLflow, one table for each split of the data, and "
        "write leaderboard.md and leaderboard.csv.",
    )
    parser.add_argument("--uri", default="sqlite:///mlflow.db", help="tracking URI (%(default)s)")
    parser.add_argument("--experiment", help="only the runs of this MLflow experiment")
    parser.add_argument("--data", help="only the runs on this data set")
    parser.add_argument("--metric", default="hit_at_1", help="what to rank by (%(default)s)")
    parser.add_argument(
        "--out", type=Path, default=Path(), help="where to write the files (working directory)"
    )
    return parser


def _show(options: argparse.Namespace) -> None:
    from rich.console import Console

    from outliers_bench.reports.leaderboard import read_boards, show_boards, write_boards

    if not options.out.is_dir():
        raise BenchError(f"--out {options.out}: no such folder; make it first")
    boards, left_out = read_boards(
        options.uri, metric=options.metric, experiment=options.experiment, data=options.data
    )
    # A file or a pipe has no width to fit into.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else _FILE_WIDTH)
    show_boards(boards, metric=options.metric, console=console)
    if left_out:
        console.print(f"Left out: {left_out} finished runs without {options.metric}.")
    for path in write_boards(boards, options.out, metric=options.metric):
        console.print(f"Written: {path}", soft_wrap=True)


if __name__ == "__main__":
    sys.exit(main())
