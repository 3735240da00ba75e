"""What was promised, and whether these figures keep it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.speed.rows import ratio


@dataclass
class Goal:
    """One promise.

    Parameters
    ----------
    what : str
        The figure that is meant.
    wanted : float
        Its bound.
    at_least : bool
        Whether the figure must reach the bound, or stay below it.
    found : float or None
        None where it could not be measured.
    unit : str
        `x`, `%` (of a share from 0 to 1) or `s`.
    """

    what: str
    wanted: float
    at_least: bool
    found: float | None
    unit: str

    @property
    def met(self) -> bool | None:
        """Whether it is kept; None where it could not be measured."""
        if self.found is None:
            return None
        return self.found >= self.wanted if self.at_least else self.found <= self.wanted

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {**asdict(self), "met": self.met}


def goals(results: dict[str, Any]) -> list[Goal]:
    """The promises about the sections that were run.

    Parameters
    ----------
    results : dict
        By section, as the sections' `measure` returns them.
    """
    found: list[Goal] = []
    for section, promises in PROMISES.items():
        if section in results and not results[section].get("failed"):
            found += promises(results[section])
    return found


def compared(rows: dict[str, Any], one: str, other: str) -> float | None:
    """Ratio of two contenders' values; None where one of them has none."""
    return ratio(*(rows.get(name, {}).get("values", ()) for name in (one, other)))


def shares(economy: dict[str, Any]) -> tuple[float | None, float | None]:
    """What variants cost of a first run: as a second command, and what they add to its own."""
    rows = economy["rows"]
    together = compared(rows, "together", "first")
    return compared(rows, "variants", "first"), None if together is None else together - 1


def _embedding(section: dict[str, Any]) -> Iterator[Goal]:
    for model, rows in section["backbones"].items():
        found = compared(rows, "ours", "limit")
        yield Goal(f"{model}: ours, of the limit", 0.9, True, found, "x")
    if rows := section["backbones"].get("mobilenet"):
        for other, wanted in (("notebook", 8), ("dataset", 2.5)):
            found = compared(rows, "ours", other)
            yield Goal(f"mobilenet: ours, of the {other} way", wanted, True, found, "x")


def _economy(section: dict[str, Any]) -> Iterator[Goal]:
    count = section["count"]
    after, beside = shares(section)
    what = f"{count} variants as a second command, of the first run"
    yield Goal(what, 0.15, False, after, "%")
    what = f"{count - 1} more variants in the first run's own command, of the first run"
    yield Goal(what, 0.15, False, beside, "%")
    rows = section["rows"]
    stored = rows["stored"].get("median")
    yield Goal("a stored run, interpreter start included", 5, False, stored, "s")


def _search(section: dict[str, Any]) -> Iterator[Goal]:
    found = compared(section["rows"], "ours", "faiss")
    yield Goal("exact search: ours, of faiss alone", 1.2, False, found, "x")


def _memory(section: dict[str, Any]) -> Iterator[Goal]:
    for what in ("embedding", "command"):
        found = compared(section["rows"], f"{what}, many", f"{what}, few")
        counts = f"{section['many']:,} pictures, of {section['few']:,}"
        yield Goal(f"peak memory of the {what}: {counts}", 1.1, False, found, "x")


PROMISES = {
    "embedding": _embedding,
    "economy": _economy,
    "search": _search,
    "memory": _memory,
}
