"""Sentences about a board: title, best run, ties, leakage and legend."""

from __future__ import annotations

import shlex
from collections.abc import Collection

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
    counts = f"{board.queries:,} queries, {board.gallery:,} gallery images"
    if board.leave_one_out:
        counts = f"{board.queries:,} queries, each against all others"
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
    sentences += describe_leakage(board, metric)
    return [*sentences, board.not_compared] if board.not_compared else sentences


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
    "interval": "95%: bootstrap interval over the queries.",
    "p": (
        f"{TIED_MARK} tied with the best: no significant difference in a paired permutation test "
        f"on the same queries (p ≥ {ALPHA} after Holm)."
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
    return {key: text for key, text in _LEGEND.items() if key in keys}


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
