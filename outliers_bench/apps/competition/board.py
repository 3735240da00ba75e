"""The leaderboard of a competition: best and last of each group, as data and as a page."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from outliers_bench.apps.competition.store import Entry
from outliers_bench.reports.html import template
from outliers_bench.reports.numbers import title

_HERE = Path(__file__).parent
_COLUMNS = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")


@dataclass(frozen=True)
class Standing:
    """Where a group stands; `place` is 0 where the scores are not shown."""

    place: int
    group: str
    submissions: int
    best: Entry
    last: Entry


@dataclass(frozen=True)
class Facts:
    """What the page tells besides the standings; see `Competition` for the options."""

    name: str
    queries: int
    gallery: int
    max_rank: int
    metric: str
    deadline: str
    closed: bool
    shown: bool


def standings(entries: Sequence[Entry], *, metric: str, shown: bool) -> list[Standing]:
    """Each group once.

    Parameters
    ----------
    entries : sequence of Entry
        Oldest first.
    metric : str
        What the groups are ordered by, best first; of equal scores the earlier submission counts,
        and they share a place. A submission without that metric comes last.
    shown : bool
        Whether scores are shown. Where they are not, the order is that of the names.
    """
    by_group: dict[str, list[Entry]] = {}
    for entry in entries:
        by_group.setdefault(entry.group, []).append(entry)
    best = {
        group: max(of, key=lambda entry: (_value(entry, metric), -entry.number))
        for group, of in by_group.items()
    }

    def row(place: int, group: str) -> Standing:
        return Standing(place, group, len(by_group[group]), best[group], by_group[group][-1])

    if not shown:
        return [row(0, group) for group in sorted(by_group, key=str.casefold)]
    values = {group: _value(entry, metric) for group, entry in best.items()}
    return [
        row(1 + sum(other > values[group] for other in values.values()), group)
        for group in sorted(by_group, key=lambda group: (-values[group], best[group].number))
    ]


def as_data(rows: Sequence[Standing], facts: Facts) -> dict[str, object]:
    """The leaderboard for `/leaderboard.json`; without scores where they are not shown."""
    return {
        "name": facts.name,
        "metric": facts.metric,
        "queries": facts.queries,
        "gallery": facts.gallery,
        "max_rank": facts.max_rank,
        "deadline": facts.deadline or None,
        "scores_shown": facts.shown,
        "groups": [
            {
                "group": row.group,
                "submissions": row.submissions,
                **(
                    {"place": row.place, "best": _entry(row.best), "last": _entry(row.last)}
                    if facts.shown
                    else {"last": {"time": when(row.last.at)}}
                ),
            }
            for row in rows
        ],
    }


def as_page(rows: Sequence[Standing], facts: Facts) -> str:
    """The leaderboard as a page that loads nothing; every name in it is escaped."""
    from markupsafe import Markup

    metrics = [facts.metric, *(name for name in _COLUMNS if name != facts.metric)]
    measured = [name for name in metrics if any(name in row.best.worth.metrics for row in rows)]
    return template(_HERE).render(
        facts=facts,
        rows=rows,
        columns=measured or [facts.metric],
        title=title,
        when=when,
        style=Markup(style()),  # noqa: S704 - our own
    )


def style() -> str:
    """The page's style sheet, which stands in it."""
    return (_HERE / "page.css").read_text(encoding="utf-8")


def policy() -> str:
    """The content security policy of every answer: nothing but that style sheet."""
    digest = base64.b64encode(hashlib.sha256(style().encode()).digest()).decode()
    return (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'; "
        "frame-ancestors 'none'"
    )


def when(at: float) -> str:
    """A time, in UTC to the second.

    Examples
    --------
    >>> when(0)
    '1970-01-01 00:00:00 UTC'
    """
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _entry(entry: Entry) -> Mapping[str, object]:
    return {
        "id": entry.number,
        "time": when(entry.at),
        "scores": entry.worth.metrics,
        "intervals": entry.worth.intervals,
    }


def _value(entry: Entry, metric: str) -> float:
    return entry.worth.metrics.get(metric, -1.0)
