"""What the figures of a board were measured with, and whether that was the same for all."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from outliers_bench.leaderboard.boards import Board, Row

_VERSION = "version."
_MACHINE = ("machine.cpu", "machine.cores", "machine.memory")


def facts(board: Board) -> list[tuple[str, list[str]]]:
    """Heading and values: data, versions, commits, machines, dates; of measured rows only."""
    rows = board.measured
    packages = sorted({tag for row in rows for tag in row.tags if tag.startswith(_VERSION)})
    packages.sort(key=lambda tag: tag != _VERSION + "outliers_bench")
    versions = [
        f"{tag.removeprefix(_VERSION)} {' and '.join(_once(row.tags.get(tag) for row in rows))}"
        for tag in packages
    ]
    return [
        ("data", [board.data]),
        ("split fingerprint", [board.fingerprint]),
        ("versions", versions),
        ("commit", _once(commit(row) for row in rows)),
        ("machine", _once(machine(row) for row in rows)),
        ("measured", _dates(rows)),
    ]


def warnings(board: Board) -> list[str]:
    """Sentences about rows that were not measured alike."""
    rows = board.measured
    kinds = {
        "machines": ({machine(row) for row in rows}, "costs do not compare"),
        "versions": (
            {row.tags.get(_VERSION + "outliers_bench", "") for row in rows},
            "costs, and scores too, may not compare",
        ),
        "commits": ({commit(row) for row in rows}, "costs, and scores too, may not compare"),
    }
    return [
        f"These rows come from {len(found)} different {kind}: {so}."
        for kind, (found, so) in kinds.items()
        if len(found) > 1
    ]


def commit(row: Row) -> str:
    """The commit of the code, and whether the code differed from it."""
    found = row.tags.get("mlflow.source.git.commit", "")
    if not found:
        return "unknown"
    dirty = row.tags.get("git_dirty") == "true"
    return found[:10] + (" with uncommitted changes" if dirty else "")


def machine(row: Row) -> str:
    """CPU, cores and memory."""
    cpu, cores, memory = (row.tags.get(tag, "") for tag in _MACHINE)
    parts = (cpu, f"{cores} cores" if cores else "", f"{memory} memory" if memory else "")
    return ", ".join(part for part in parts if part) or "unknown"


def _dates(rows: Iterable[Row]) -> list[str]:
    days = sorted(
        f"{datetime.fromtimestamp(row.started / 1000, UTC):%Y-%m-%d}" for row in rows if row.started
    )
    return [] if not days else [days[0] if days[0] == days[-1] else f"{days[0]} to {days[-1]}"]


def _once(values: Iterable[str | None]) -> list[str]:
    return list(dict.fromkeys(value for value in values if value))
