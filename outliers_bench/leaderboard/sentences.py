"""What a board says in words: what it is about, who is best, who is tied, what is missing."""

from __future__ import annotations

import shlex
from collections.abc import Collection

from outliers_bench.evaluation.metric_names import is_score
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.leaderboard.boards import Board, Row, label, short_labels
from outliers_bench.leaderboard.columns import LEAKS, TIED, heading, number, range_text
from outliers_bench.reports import numbers as readable

_NAMED = 4  # methods that are named in a sentence
_LONGEST_TAG = 5000  # characters; MLflow has no longer ones, and the recorder cuts them


def title(board: Board) -> str:
    """What a table is about: the data, how many images, which split."""
    table = f"{board.table} on " if board.table else ""
    if not board.fingerprint and not board.measured:
        return f"{table}{board.data or 'unknown data'}: nothing measured"
    counts = f"{board.queries:,} queries, {board.gallery:,} gallery images"
    if board.leave_one_out:
        counts = f"{board.queries:,} queries, each against all others"
    return f"{table}{board.data}: {counts} (split {board.fingerprint[:8]})"


def best(board: Board, metric: str) -> list[str]:
    """Sentences about the best row: its figure, its interval, and who is tied with it."""
    if not board.measured:
        return ["No run of these rows has finished on this data."]
    first, *equals = {row.run_id: row for row in board.best}.values()
    interval = first.interval(metric)
    said = f"Best: {label(first)}, {heading(metric)} {number(metric, first.metrics[metric])}"
    said += "" if interval is None else f" (95% interval {range_text(metric, interval)})"
    sentences = [f"{said}."]
    if equals:
        sentences.append(f"Equal best: {_named(board, equals)}.")
    others = [row for row in board.measured if row.rank != 1]
    if board.tied:
        sentences.append(f"Tied with {'them' if equals else 'it'}: {_named(board, board.tied)}.")
    elif any(row.p is not None for row in others):
        they = "They are better than every other run" if equals else "It is better than every run"
        sentences.append(f"{they} that was compared.")
    sentences += leaks(board, metric)
    return [*sentences, *(line for line in (board.not_compared, comparison(board, metric)) if line)]


def leaks(board: Board, metric: str) -> list[str]:
    """Sentences about photos that stand, or stood, in two parts; none where there are none.

    Of a board whose first run would not be first on the same photos without them, that is said.
    """
    found = [readable.leaks(_counts(row)) for row in board.measured]
    told = [f"{text}." for text in dict.fromkeys(found) if text]
    for key, words in LEAKS.items():
        beside = f"{key}/{metric}"
        values = {row.run_id: row.metrics.get(beside) for row in board.measured}
        most = max((value for value in values.values() if value is not None), default=None)
        if most is not None and all((values[row.run_id] or 0) < most for row in board.best):
            first = next(row for row in board.measured if values[row.run_id] == most)
            told.append(
                f"The best {words}: {label(first)}, {heading(metric)} {number(metric, most)}."
            )
    return told


def _counts(row: Row) -> dict[str, float]:
    """What an audit has counted, without scores."""
    return {name: n for name, n in row.metrics.items() if name.startswith("leaks_")}


def _named(board: Board, rows: Collection[Row]) -> str:
    """Rows by what tells them from the others on the board."""
    labels = zip(board.measured, short_labels(board.measured), strict=True)
    named = list(dict.fromkeys(text for row, text in labels if row in rows))
    more = f" and {len(named) - _NAMED} more" if len(named) > _NAMED else ""
    return "; ".join(named[:_NAMED]) + more


def legend(board: Board, shown: Collection[str]) -> dict[str, str]:
    """What marks and columns mean, by column, of the columns that are shown."""
    lines = {}
    if "interval" in shown:
        lines["interval"] = "95%: bootstrap interval over the queries."
    if board.tied:
        lines["p"] = (
            f"{TIED} tied with the best: a paired permutation test on the same queries does not "
            f"tell them apart (p ≥ {ALPHA} after Holm)."
        )
    if "without_leaks" in shown:
        lines["without_leaks"] = (
            "without leaks: the same run, scored again without the photos that stand in two parts, "
            "exactly or nearly."
        )
    if "with_leaks" in shown:
        lines["with_leaks"] = (
            "with leaks: the same run, scored again with the photos that were dropped because they "
            "stood in two parts."
        )
    if any(key.startswith("published_") for key in shown):
        lines["published"] = (
            "pub@k: what the original published as top-k, on other photos and under another "
            "definition, so not to be compared digit by digit."
        )
    return lines


def comparison(board: Board, metric: str) -> str:
    """Why a board ranked by this has no comparison; empty where it has one."""
    if is_score(metric) or len(board.measured) < 2:
        return ""
    return f"Not compared with the best: {heading(metric)} has no figures query by query."


def command(row: Row) -> str:
    """The command line that computes a run anew; empty where it is not known in full."""
    overrides = row.tags.get("overrides")
    if overrides is None or len(overrides) >= _LONGEST_TAG:
        return ""
    try:
        words = shlex.split(overrides)
    except ValueError:  # not written by a run of ours
        return ""
    # With it, the run would be found finished and not computed.
    return readable.command([word for word in words if _key(word) != "skip_finished"])


def _key(override: str) -> str:
    return override.lstrip("+").partition("=")[0]
