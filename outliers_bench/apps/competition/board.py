"""Leaderboard of a competition: best and last submission of each group, as JSON and HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from outliers_bench.apps.competition.store import Entry
from outliers_bench.reports.html import load_template
from outliers_bench.reports.numbers import metric_title

_HERE = Path(__file__).parent
_COLUMNS = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")


@dataclass(frozen=True)
class LeaderboardRow:
    """A group with its rank, which is 0 if scores are not shown."""

    rank: int
    group: str
    submissions: int
    best: Entry
    last: Entry


@dataclass(frozen=True)
class CompetitionInfo:
    """Properties of the competition on the leaderboard page; see `Competition`."""

    name: str
    queries: int
    gallery: int
    max_rank: int
    metric: str
    deadline: str
    is_closed: bool
    shows_scores: bool


def rank_groups(
    entries: Sequence[Entry], *, metric: str, show_scores: bool
) -> list[LeaderboardRow]:
    """Rank the groups by their best submissions.

    Parameters
    ----------
    entries : sequence of Entry
        All submissions, oldest first.
    metric : str
        Metric to rank by. Groups with equal scores share a rank and are listed by the time of the
        submission. Submissions without this metric come last.
    show_scores : bool
        Whether scores are shown; if not, groups are in alphabetical order without a rank.

    Returns
    -------
    list of LeaderboardRow
        One row per group, best first.
    """
    by_group: dict[str, list[Entry]] = {}
    for entry in entries:
        by_group.setdefault(entry.group, []).append(entry)
    best = {
        group: max(submissions, key=lambda entry: (_metric_value(entry, metric), -entry.number))
        for group, submissions in by_group.items()
    }

    def row(rank: int, group: str) -> LeaderboardRow:
        return LeaderboardRow(rank, group, len(by_group[group]), best[group], by_group[group][-1])

    if not show_scores:
        return [row(0, group) for group in sorted(by_group, key=str.casefold)]
    values = {group: _metric_value(entry, metric) for group, entry in best.items()}
    return [
        row(1 + sum(other > values[group] for other in values.values()), group)
        for group in sorted(by_group, key=lambda group: (-values[group], best[group].number))
    ]


def leaderboard_data(rows: Sequence[LeaderboardRow], info: CompetitionInfo) -> dict[str, object]:
    """Return the content of `/leaderboard.json`, with scores only if they are shown."""
    return {
        "name": info.name,
        "metric": info.metric,
        "queries": info.queries,
        "gallery": info.gallery,
        "max_rank": info.max_rank,
        "deadline": info.deadline or None,
        "scores_shown": info.shows_scores,
        "groups": [
            {
                "group": row.group,
                "submissions": row.submissions,
                **(
                    {
                        "rank": row.rank,
                        "best": _entry_data(row.best),
                        "last": _entry_data(row.last),
                    }
                    if info.shows_scores
                    else {"last": {"time": format_time(row.last.time)}}
                ),
            }
            for row in rows
        ],
    }


def leaderboard_page(rows: Sequence[LeaderboardRow], info: CompetitionInfo) -> str:
    """Return the leaderboard as a self-contained HTML page with all names escaped."""
    from markupsafe import Markup

    metrics = [info.metric, *(name for name in _COLUMNS if name != info.metric)]
    measured = [name for name in metrics if any(name in row.best.score.metrics for row in rows)]
    return load_template(_HERE).render(
        info=info,
        rows=rows,
        columns=measured or [info.metric],
        metric_title=metric_title,
        format_time=format_time,
        style=Markup(style_sheet()),  # noqa: S704 - part of the package
    )


def style_sheet() -> str:
    """Return the style sheet, which is embedded in the page."""
    return (_HERE / "page.css").read_text(encoding="utf-8")


def content_security_policy() -> str:
    """Return the Content-Security-Policy header, which allows nothing but the style sheet."""
    digest = base64.b64encode(hashlib.sha256(style_sheet().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def format_time(time: float) -> str:
    """Format seconds since 1970 as UTC.

    Examples
    --------
    >>> format_time(0)
    '1970-01-01 00:00:00 UTC'
    """
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _entry_data(entry: Entry) -> Mapping[str, object]:
    return {
        "id": entry.number,
        "time": format_time(entry.time),
        "scores": entry.score.metrics,
        "intervals": entry.score.intervals,
    }


def _metric_value(entry: Entry, metric: str) -> float:
    return entry.score.metrics.get(metric, -1.0)
