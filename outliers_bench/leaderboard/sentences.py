"""Sentences about a board: title, best run, ties, leakage and legend."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from outliers_bench.evaluation.choose_clusters import QUERY, describe_clusters, name_unit
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.leaderboard.boards import Board, Row, row_label, short_labels
from outliers_bench.leaderboard.columns import (
    LEAKAGE_SCORES,
    TIED_MARK,
    format_metric,
    format_range,
    heading,
)
from outliers_bench.reports import numbers

_MAX_NAMES = 4  # of methods in a sentence
_MAX_TAG = 5000  # characters; longer tags are truncated for MLflow


def title(board: Board) -> str:
    """Return the title of a table: data, numbers of images and split."""
    table = f"{board.table} on " if board.table else ""
    if not board.fingerprint and not board.measured_rows:
        return f"{table}{board.data or 'unknown data'}: nothing measured"
    kind = "validation queries" if board.is_validation else "queries"
    counts = f"{board.queries:,} {kind}, {board.gallery:,} gallery images"
    if board.leave_one_out:
        counts = f"{board.queries:,} queries, each against all others"
    if board.splits > 1:
        counts = f"{board.splits} splits, {board.queries:,} queries in all"
    return f"{table}{board.data}: {counts} (split {board.fingerprint[:8]})"


def best(board: Board, metric: str) -> list[str]:
    """Return sentences about the best row: its figure, interval and ties."""
    if not board.measured_rows:
        return ["No run of these rows has finished on this data."]
    first, *equals = {row.run_id: row for row in board.best_rows}.values()
    interval = first.interval(metric)
    score = format_metric(metric, first.metrics[metric])
    text = f"Best: {row_label(first)}, {heading(metric)} {score}"
    text += "" if interval is None else f" (95% interval {format_range(metric, interval)})"
    sentences = [f"{text}."]
    if equals:
        sentences.append(f"Equal best: {_join_labels(board, equals)}.")
    others = [row for row in board.measured_rows if row.rank != 1]
    if board.tied_rows:
        sentences.append(
            f"Tied with {'them' if equals else 'it'}: {_join_labels(board, board.tied_rows)}."
        )
    elif any(row.p is not None for row in others):
        subject = "They are better" if equals else "It is better"
        sentences.append(f"{subject} than every other run that was compared.")
    sentences += [*describe_comparison(board, metric), *describe_leakage(board, metric)]
    if board.older_mrr:
        sentences.append(
            f"The MRR of {_earlier(board.older_mrr)} is left out: it was cut at a depth of the "
            "ranking."
        )
    return [*sentences, board.not_compared] if board.not_compared else sentences


def describe_comparison(board: Board, metric: str) -> list[str]:
    """Return sentences about the clusters of the comparison, and what they can show."""
    if not board.cluster:
        return []
    sentences = [f"Compared over {describe_clusters(board.cluster, board.clusters)}."]
    if board.smallest_difference is not None:
        sentences.append(
            "They can show a difference of "
            f"{format_metric(metric, board.smallest_difference)} or more between the best and the "
            "next (in 4 of 5 samples)."
        )
    if n := sum(_is_over_others(board, row) for row in board.measured_rows):
        intervals = "interval of 1 run is" if n == 1 else f"intervals of {n:,} runs are"
        sentences.append(f"The {intervals} over other clusters; the fewest are used to compare.")
    return sentences


def _earlier(n: int) -> str:
    return "1 run of an earlier version" if n == 1 else f"{n:,} runs of earlier versions"


def _is_over_others(board: Board, row: Row) -> bool:
    """Check whether the intervals of a run are over other clusters than the comparison."""
    return row.tags.get("cluster", QUERY) != board.cluster


def describe_leakage(board: Board, metric: str) -> list[str]:
    """Return sentences about photos in two parts, and about another best run without them."""
    texts = [
        # Counts without scores, which differ from run to run.
        numbers.describe_leakage(
            {key: n for key, n in row.metrics.items() if key.startswith("leaks_")}
        )
        for row in board.measured_rows
    ]
    sentences = [f"{text}." for text in dict.fromkeys(texts) if text]
    for key, words in LEAKAGE_SCORES.items():
        name = f"{key}/{metric}"
        values = {row.run_id: row.metrics.get(name) for row in board.measured_rows}
        most = max((value for value in values.values() if value is not None), default=None)
        if most is not None and all((values[row.run_id] or 0) < most for row in board.best_rows):
            first = next(row for row in board.measured_rows if values[row.run_id] == most)
            score = f"{heading(metric)} {format_metric(metric, most)}"
            sentences.append(f"Best {words}: {row_label(first)}, {score}.")
    return sentences


def _join_labels(board: Board, rows: Collection[Row]) -> str:
    """Join the labels of rows, which have only the parts that differ on the board."""
    labels = zip(board.measured_rows, short_labels(board.measured_rows), strict=True)
    names = list(dict.fromkeys(text for row, text in labels if row in rows))
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return "; ".join(names[:_MAX_NAMES]) + more


_LEGEND = {
    "interval": "95%: bootstrap interval over {}.",
    "p": (
        f"{TIED_MARK} tied with the best: no significant difference in a paired permutation test, "
        f"at once for all runs and whichever is best (p ≥ {ALPHA})."
    ),
    "without_leaks": (
        "without leakage: the same run, rescored without exact and near duplicates across parts."
    ),
    "with_leaks": (
        "with leakage: the same run, rescored with the photos that were dropped as duplicates "
        "across parts."
    ),
    "published_1": (
        "pub@k: published by the original as top-k, on other photos and with another definition, "
        "so not directly comparable."
    ),
}


def legend(board: Board, shown: Collection[str]) -> dict[str, str]:
    """Return the meanings of marks and columns, by column, for the columns shown."""
    keys = set(shown) if board.tied_rows else set(shown) - {"p"}
    units = dict.fromkeys(row.tags.get("cluster", QUERY) for row in board.measured_rows)
    over = " or ".join(name_unit(unit) for unit in units)
    return {key: text.format(over) for key, text in _LEGEND.items() if key in keys}


def repeat_command(row: Row) -> str:
    """Return the command line that repeats a run; empty if it is not known in full."""
    overrides = row.tags.get("overrides")
    if overrides is None or len(overrides) >= _MAX_TAG:
        return ""
    try:
        words = shlex.split(overrides)
    except ValueError:  # not written by this package
        return ""
    # With `skip_finished` the run would not be computed again.
    return numbers.repeat_command([word for word in words if _key(word) != "skip_finished"])


def _key(override: str) -> str:
    return override.lstrip("+").partition("=")[0]
