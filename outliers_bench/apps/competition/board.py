"""Leaderboard of a competition: best and last submission of each group, as JSON and HTML."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.apps.competition.group_names import group_key
from outliers_bench.apps.competition.options import Competition
from outliers_bench.apps.competition.store import Entry
from outliers_bench.reports.html import load_template
from outliers_bench.reports.numbers import metric_title

_HERE = Path(__file__).parent
_COLUMNS = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")


def leaderboard_data(
    entries: Sequence[Entry],
    dataset: CompetitionData,
    rules: Competition,
    now: float,
    *,
    is_final: bool | None = None,
) -> dict[str, Any]:
    """Return the content of `/leaderboard.json`, with scores only if they are shown.

    Groups are ranked by their best submissions. Those with equal scores share a rank and are listed
    by the time of the submission; submissions without the metric come last. Without scores, the
    groups are in alphabetical order. A group has the name of its first submission. `entries` are
    all submissions, oldest first. `is_final` scores are those over the private queries, by
    default after the deadline. The best submission is the one with the best public score even
    then: the best of many private scores would be higher by chance, the more, the more there are.
    """
    is_final = rules.is_closed(now) if is_final is None else is_final
    part = rules.part(is_final=is_final)
    by_group: dict[str, list[Entry]] = {}
    for entry in entries:
        by_group.setdefault(group_key(entry.group), []).append(entry)

    def value(entry: Entry, part: str = part) -> float:
        return entry.score_of(part).metrics.get(rules.metric, -1.0)

    shown = rules.part(is_final=False)
    best = {
        group: max(given, key=lambda entry: (value(entry, shown), -entry.number))
        for group, given in by_group.items()
    }
    if show_scores := is_final or rules.shows_scores(now):
        rows = [
            {
                "rank": 1 + sum(value(other) > value(best[group]) for other in best.values()),
                "group": by_group[group][0].group,
                "submissions": len(by_group[group]),
                "best": _entry_data(best[group], part),
                "last": _entry_data(by_group[group][-1], part),
            }
            for group in sorted(best, key=lambda group: (-value(best[group]), best[group].number))
        ]
    else:
        rows = [
            {
                "group": by_group[group][0].group,
                "submissions": len(by_group[group]),
                "last": {"time": format_time(by_group[group][-1].time)},
            }
            for group in sorted(by_group)
        ]
    return {
        "name": dataset.split.name,
        "metric": rules.metric,
        "queries": len(dataset.queries),
        "gallery": len(dataset.gallery),
        "max_rank": rules.max_rank,
        "deadline": rules.deadline_text or None,
        "scores_shown": show_scores,
        "scored_part": part,
        "public_share": rules.public_share,
        "groups": rows,
    }


def leaderboard_page(board: Mapping[str, Any], *, is_closed: bool) -> str:
    """Return `leaderboard_data` as a self-contained HTML page with all names escaped."""
    from markupsafe import Markup

    metrics = [board["metric"], *(name for name in _COLUMNS if name != board["metric"])]
    scores = [row["best"]["scores"] for row in board["groups"]] if board["scores_shown"] else []
    measured = [name for name in metrics if any(name in each for each in scores)]
    return load_template(_HERE).render(
        board=board,
        is_closed=is_closed,
        columns=measured or [board["metric"]],
        metric_title=metric_title,
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
    """Format seconds since 1970 as UTC, such as 1970-01-01 00:00:00 UTC."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")


def _entry_data(entry: Entry, part: str) -> dict[str, object]:
    score = entry.score_of(part)
    return {
        "id": entry.number,
        "time": format_time(entry.time),
        "scores": score.metrics,
        "intervals": score.intervals,
    }
