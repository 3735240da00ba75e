"""Tables of finished runs, best first; one table for each split, for others do not compare."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.errors import BenchError
from outliers_bench.reports import format as readable
from outliers_bench.tracking.note import table as markdown_table
from outliers_bench.tracking.search import search_runs
from outliers_bench.tracking.store import database_path, open_client, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run
    from rich.console import Console

_SCORES = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")
_COSTS = {
    "dimensions": "dim",
    "images_per_second": "img/s",
    "search_ms_per_query": "ms/query",
    "recall_at_10": "recall@10",
}
_MORE_COSTS = ("index_bytes", "index_build_seconds", "peak_memory_bytes")  # in the CSV alone
_LESS_IS_BETTER = re.compile(
    r"dimensions|search_ms_per_query|index_bytes|index_build_seconds|peak_memory_bytes|seconds_.+"
)
_SCORE = re.compile(r"(hit|precision|recall)_at_\d+|map_at_r|r_precision|mrr")
_METHOD = ("model", "variant", "pca", "index", "metric", "rerank")
_WRAPPED = {"variant", "rerank", "pca"}  # an ensemble's variant names all of its members
_MOST_WIDE = 40
_LEAST_NEEDED = (
    "dim",
    "ms/query",
    "img/s",
    "metric",
    "recall@10",
    "hit@5",
    "run",
    "hit@10",
    "index",
    "pca",
    "MAP@R",
    "variant",
    "rerank",
    "hit@1",
)
_HOW = "make one with: python -m outliers_bench"


@dataclass(frozen=True)
class Row:
    """One method's newest finished run.

    Parameters
    ----------
    rank : int
        1 for the best; equals share theirs.
    name, run_id, fingerprint : str
        The run's name and id, and the digest of the split it was scored on.
    method : dict of str to str
        Model, its variant, PCA, index, metric and re-ranking.
    metrics : dict of str to float
        Every metric of the run.
    """

    rank: int
    name: str
    run_id: str
    fingerprint: str
    method: dict[str, str]
    metrics: dict[str, float]


@dataclass(frozen=True)
class Board:
    """The runs on one split, best first."""

    data: str
    fingerprint: str
    queries: int
    gallery: int
    rows: tuple[Row, ...]


def read_boards(
    uri: str, *, metric: str = "hit_at_1", experiment: str | None = None, data: str | None = None
) -> tuple[list[Board], int]:
    """Read the finished runs from MLflow and rank them, split by split.

    Of runs with the same identity only the newest counts.

    Parameters
    ----------
    uri : str
        Tracking URI.
    metric : str
        What to rank by: scores and speeds from large to small, costs from small to large.
    experiment, data : str or None
        Only the runs of that experiment, or on that data set.

    Returns
    -------
    boards : list of Board
        By data set; of one data set, the split with the most runs first.
    n_left_out : int
        Finished runs without the metric, such as those on photos without labels.

    Raises
    ------
    BenchError
        If there is no such database or experiment, or nothing to rank.
    """
    path = database_path(uri)
    if path is not None and not path.exists():
        raise BenchError(f"no runs yet: there is no {path}; {_HOW}, or say where with --uri")
    client = open_client(uri)
    runs = _finished(client, experiment=experiment, data=data)
    scored = [run for run in runs if metric in run.data.metrics]
    where = "".join(f", {k} {v}" for k, v in (("experiment", experiment), ("data", data)) if v)
    if not runs:
        raise BenchError(f"no finished runs in {resolve_uri(uri)}{where}; {_HOW}")
    if not scored:
        raise BenchError(
            f"none of the {len(runs)} finished runs in {resolve_uri(uri)}{where} has the metric "
            f"{metric}; rank by one they have (--metric), or run on photos with labels"
        )
    by_split: dict[str, list[Run]] = {}
    for run in scored:
        by_split.setdefault(run.data.tags.get("split_fingerprint", ""), []).append(run)
    boards = [_board(found, metric) for found in by_split.values()]
    boards.sort(key=lambda board: (board.data, -len(board.rows), board.fingerprint))
    return boards, len(runs) - len(scored)


def _finished(client: MlflowClient, *, experiment: str | None, data: str | None) -> list[Run]:
    """Finished runs, newest first, one an identity."""
    experiments = None
    if experiment is not None:
        found = client.get_experiment_by_name(experiment)
        if found is None:
            names = ", ".join(known.name for known in client.search_experiments())
            raise BenchError(f"no experiment {experiment}; there is {names}")
        experiments = [found.experiment_id]
    newest: dict[str, Run] = {}
    for run in search_runs(
        client,
        "attributes.status = 'FINISHED' and tags.kind = 'run'",
        experiments=experiments,
        order="attributes.start_time DESC",
    ):
        if data is None or run.data.tags.get("data") == data:
            newest.setdefault(run.data.tags.get("identity") or run.info.run_id, run)
    return list(newest.values())


def _board(runs: Sequence[Run], metric: str) -> Board:
    sign = 1 if _LESS_IS_BETTER.fullmatch(metric) else -1
    ordered = sorted(runs, key=lambda run: (sign * run.data.metrics[metric], run.info.run_name))
    values = [run.data.metrics[metric] for run in ordered]
    first = ordered[0].data
    rows = (
        Row(
            rank=values.index(run.data.metrics[metric]) + 1,
            name=run.info.run_name,
            run_id=run.info.run_id,
            fingerprint=run.data.tags.get("split_fingerprint", ""),
            method={key: run.data.tags.get(key, "") for key in _METHOD},
            metrics=dict(run.data.metrics),
        )
        for run in ordered
    )
    return Board(
        data=first.tags.get("data", ""),
        fingerprint=first.tags.get("split_fingerprint", ""),
        queries=int(first.metrics.get("queries", 0)),
        gallery=int(first.metrics.get("gallery_images", 0)),
        rows=tuple(rows),
    )


def heading(board: Board) -> str:
    """What a table is about: the data, how many images, which split."""
    counts = f"{board.queries:,} queries, {board.gallery:,} gallery images"
    return f"{board.data}: {counts} (split {board.fingerprint[:8]})"


def cells(board: Board, metric: str) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a table as people read it.

    What nobody used, such as re-ranking or an approximate index, gets no column.
    """
    shown = [name for name in dict.fromkeys((metric, *_SCORES)) if name not in _COSTS] + [*_COSTS]
    if not any("recall_at_10" in row.metrics for row in board.rows):
        shown.remove("recall_at_10")
    method_columns = [n for n in _METHOD if n != "rerank" or any(r.method[n] for r in board.rows)]
    header = ["rank", *method_columns, *map(_heading, shown), "run"]
    rows = []
    for row in board.rows:
        known = row.method if row.method["model"] else {"model": row.name}
        method = [known.get(name, "") for name in method_columns]
        numbers = [_text(name, row.metrics.get(name)) for name in shown]
        rows.append([str(row.rank), *method, *numbers, row.run_id[:8]])
    return header, rows


def _heading(metric: str) -> str:
    return _COSTS.get(metric) or readable.title(metric)


def _text(metric: str, value: float | None) -> str:
    if value is None:
        return ""
    if _SCORE.fullmatch(metric):
        return readable.score(value)
    if metric.endswith("_bytes"):
        return readable.size(value)
    return f"{value:.0f}" if value.is_integer() else readable.rate(value)


def show_boards(boards: Sequence[Board], *, metric: str, console: Console) -> None:
    """Print every table; on a narrow terminal without the columns that matter least."""
    from rich import box
    from rich.table import Table

    for board in boards:
        header, rows = cells(board, metric)
        shown = _fitting(header, rows, console.width, kept=_heading(metric))
        made = Table(title=heading(board), title_justify="left", box=box.SIMPLE_HEAD)
        made.pad_edge = False
        for name in (header[column] for column in shown):
            text = name in ("run", *_METHOD)
            wraps = name in _WRAPPED
            made.add_column(
                name,
                justify="left" if text else "right",
                no_wrap=not wraps,
                overflow="fold",
                max_width=_MOST_WIDE if wraps else None,
            )
        for row in rows:
            made.add_row(*(row[column] for column in shown))
        console.print(made)


def _fitting(
    header: Sequence[str], rows: Sequence[Sequence[str]], width: int, *, kept: str
) -> list[int]:
    """The columns that fit side by side; the one that is ranked by stays."""
    columns = list(range(len(header)))
    needed = [max(len(line[column]) for line in (header, *rows)) + 3 for column in columns]
    for name in _WRAPPED & set(header):
        at = header.index(name)
        needed[at] = min(needed[at], _MOST_WIDE + 3)
    for name in _LEAST_NEEDED:
        if name in header and name != kept and sum(needed[column] for column in columns) > width:
            columns.remove(header.index(name))
    return columns


def write_boards(boards: Sequence[Board], folder: Path, *, metric: str) -> tuple[Path, Path]:
    """Write `leaderboard.md`, to be read, and `leaderboard.csv`, in full precision.

    Parameters
    ----------
    boards : sequence of Board
        From `read_boards`.
    folder : Path
        Where to.
    metric : str
        What the boards are ranked by.

    Returns
    -------
    tuple of Path
        The two files.
    """
    markdown, plain = folder / "leaderboard.md", folder / "leaderboard.csv"
    parts = [f"# Leaderboard, by {readable.title(metric)}"]
    for board in boards:
        parts += [f"## {heading(board)}", markdown_table(*cells(board, metric))]
    markdown.write_text("\n\n".join(parts) + "\n", encoding="utf-8")
    names = list(dict.fromkeys((metric, *_SCORES, *_COSTS, *_MORE_COSTS)))
    with plain.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["data", "split_fingerprint", "rank", "run", *_METHOD, *names, "run_id"])
        for board in boards:
            for row in board.rows:
                numbers = [row.metrics.get(name, "") for name in names]
                start = [board.data, board.fingerprint, row.rank, row.name]
                writer.writerow([*start, *row.method.values(), *numbers, row.run_id])
    return markdown, plain
