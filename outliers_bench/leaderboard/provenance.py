"""Provenance of the figures of a board: data, versions, commits, machines and dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from outliers_bench.leaderboard.boards import Board, Row

_VERSION = "version."
_MACHINE = ("machine.cpu", "machine.cores", "machine.memory")


def facts(board: Board) -> list[tuple[str, list[str]]]:
    """Return headings and values of the provenance of the measured rows."""
    rows = board.measured_rows
    packages = sorted({tag for row in rows for tag in row.tags if tag.startswith(_VERSION)})
    packages.sort(key=lambda tag: tag != _VERSION + "outliers_bench")
    versions = [
        f"{tag.removeprefix(_VERSION)} {' and '.join(_unique(row.tags.get(tag) for row in rows))}"
        for tag in packages
    ]
    return [
        ("data", [board.data]),
        ("split fingerprint", [board.fingerprint]),
        ("versions", versions),
        ("commit", _unique(describe_commit(row) for row in rows)),
        ("machine", _unique(describe_machine(row) for row in rows)),
        ("measured", _dates(rows)),
    ]


def warnings(board: Board) -> list[str]:
    """Return warnings about rows measured on different machines, versions or commits."""
    rows = board.measured_rows
    kinds = {
        "machines": ({describe_machine(row) for row in rows}, "their costs are not comparable"),
        "versions": (
            {row.tags.get(_VERSION + "outliers_bench", "") for row in rows},
            "costs and scores may not be comparable",
        ),
        "commits": (
            {describe_commit(row) for row in rows},
            "costs and scores may not be comparable",
        ),
    }
    return [
        f"These rows come from {len(values)} different {kind}: {consequence}."
        for kind, (values, consequence) in kinds.items()
        if len(values) > 1
    ]


def describe_commit(row: Row) -> str:
    """Return the commit of the code, and whether there were uncommitted changes."""
    commit = row.tags.get("mlflow.source.git.commit", "")
    if not commit:
        return "unknown"
    dirty = row.tags.get("git_dirty") == "true"
    return commit[:10] + (" with uncommitted changes" if dirty else "")


def describe_machine(row: Row) -> str:
    """Return CPU, cores and memory."""
    cpu, cores, memory = (row.tags.get(tag, "") for tag in _MACHINE)
    parts = (cpu, f"{cores} cores" if cores else "", f"{memory} memory" if memory else "")
    return ", ".join(part for part in parts if part) or "unknown"


def _dates(rows: Iterable[Row]) -> list[str]:
    days = sorted(
        f"{datetime.fromtimestamp(row.started / 1000, UTC):%Y-%m-%d}" for row in rows if row.started
    )
    return [] if not days else [days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"]


def _unique(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
