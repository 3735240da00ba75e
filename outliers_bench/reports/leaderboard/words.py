"""What a board says in words: what it is about, who is best, who is tied, what is missing."""

from __future__ import annotations

import shlex

from outliers_bench.evaluation.names import less_is_better
from outliers_bench.reports import format as readable
from outliers_bench.reports.leaderboard.boards import Board, Row, short_labels
from outliers_bench.reports.leaderboard.columns import TIED, heading, number, range_text

_NAMED = 4  # tied methods that are named in a sentence


def title(board: Board) -> str:
    """What a table is about: the data, how many images, which split."""
    table = f"{board.table} on " if board.table else ""
    if not board.fingerprint and not board.measured:
        return f"{table}{board.data or 'unknown data'}: nothing measured"
    counts = f"{board.queries:,} queries, {board.gallery:,} gallery images"
    return f"{table}{board.data}: {counts} (split {board.fingerprint[:8]})"


def best(board: Board, metric: str) -> list[str]:
    """Sentences about the best row: its figure, its interval, and who is tied with it."""
    if not board.measured:
        return ["No run of these rows has finished on this data."]
    first = board.measured[0]
    interval = first.interval(metric)
    said = f"Best: {first.name}, {heading(metric)} {number(metric, first.metrics[metric])}"
    said += "" if interval is None else f" (95% interval {range_text(metric, interval)})"
    sentences = [f"{said}."]
    if any(row.p is not None for row in board.measured[1:]):
        sentences.append(_tied(board))
    if board.not_compared:
        sentences.append(board.not_compared)
    return sentences


def _tied(board: Board) -> str:
    if not board.tied:
        return "It is better than every run that was compared with it."
    labels = short_labels(board.measured)
    tied = [text for row, text in list(zip(board.measured, labels, strict=True))[1:] if row.tied]
    more = f" and {len(tied) - _NAMED} more" if len(tied) > _NAMED else ""
    return f"Tied with it: {'; '.join(tied[:_NAMED])}{more}."


def legend(board: Board, metric: str) -> list[str]:
    """What marks and columns mean, of those that this board has."""
    lines = []
    if any(row.interval(metric) for row in board.rows):
        lines.append("95%: bootstrap interval over the queries.")
    if any(row.p is not None for row in board.measured[1:]):
        lines.append(
            f"{TIED} tied with the best: a paired permutation test on the same queries does not "
            "tell them apart (p ≥ 0.05 after Holm)."
        )
    if any(row.published is not None for row in board.rows):
        lines.append(
            "pub@k: what the original published as top-k, on other photos and under another "
            "definition, so not to be compared digit by digit."
        )
    return lines


def comparison(board: Board, metric: str) -> str:
    """Why a board ranked by this has no comparison; empty where it has one."""
    if less_is_better(metric) and len(board.measured) > 1:
        return "Ranked by a cost: no significance is told."
    return ""


def command(row: Row) -> str:
    """The command line that repeats a run."""
    return readable.command(shlex.split(row.tags.get("overrides", "")))
