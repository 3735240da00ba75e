"""Performance goals, compared with the results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from benchmarks.speed.rows import median_ratio


@dataclass
class Goal:
    """Performance goal.

    Parameters
    ----------
    name : str
        Quantity of the goal.
    target : float
        Bound on the quantity.
    at_least : bool
        True for a lower bound, False for an upper bound.
    measured : float or None
        Measured value; None if there is none.
    unit : str
        `x`, `%` (of a fraction from 0 to 1) or `s`.
    """

    name: str
    target: float
    at_least: bool
    measured: float | None
    unit: str

    @property
    def met(self) -> bool | None:
        """True if the goal is met; None if it was not measured."""
        if self.measured is None:
            return None
        if self.at_least:
            return self.measured >= self.target
        return self.measured <= self.target

    def as_dict(self) -> dict[str, Any]:
        """Convert to a dict for JSON."""
        return {**asdict(self), "met": self.met}


def list_goals(results: dict[str, Any]) -> list[Goal]:
    """List the goals of the sections that were run.

    Parameters
    ----------
    results : dict
        Result of `measure` of each section.
    """
    goals: list[Goal] = []
    for section, section_goals in GOALS.items():
        if section in results and not results[section].get("failed"):
            goals += section_goals(results[section])
    return goals


def median_ratio_of(rows: dict[str, Any], one: str, other: str) -> float | None:
    """Return the median ratio of two rows; None if one of them has no values."""
    return median_ratio(*(rows.get(name, {}).get("values", ()) for name in (one, other)))


def variant_costs(sweep: dict[str, Any]) -> tuple[float | None, float | None]:
    """Return the time of the variants relative to a first run: as a second command, and added."""
    rows = sweep["rows"]
    together = median_ratio_of(rows, "together", "first")
    return median_ratio_of(rows, "variants", "first"), None if together is None else together - 1


def _embedding(section: dict[str, Any]) -> Iterator[Goal]:
    for model, rows in section["backbones"].items():
        of_limit = median_ratio_of(rows, "ours", "limit")
        yield Goal(f"{model}: rate relative to the limit", 0.9, True, of_limit, "x")
    if rows := section["backbones"].get("mobilenet"):
        others = (("notebook", "Keras photo by photo", 8), ("dataset", "a Keras dataset", 2.5))
        for other, label, target in others:
            speedup = median_ratio_of(rows, "ours", other)
            yield Goal(f"mobilenet: speedup over {label}", target, True, speedup, "x")


def _sweep(section: dict[str, Any]) -> Iterator[Goal]:
    count = section["count"]
    after, together = variant_costs(section)
    name = f"{count} variants as a second command, relative to the first run"
    yield Goal(name, 0.15, False, after, "%")
    name = f"{count - 1} more variants in the command of the first run, relative to it"
    yield Goal(name, 0.15, False, together, "%")
    stored = section["rows"]["stored"].get("median")
    yield Goal("a run on stored features, including interpreter start", 5, False, stored, "s")


def _search(section: dict[str, Any]) -> Iterator[Goal]:
    ratio = median_ratio_of(section["rows"], "ours", "faiss")
    yield Goal("exact search: time relative to faiss alone", 1.2, False, ratio, "x")


def _memory(section: dict[str, Any]) -> Iterator[Goal]:
    for work in ("embedding", "command"):
        ratio = median_ratio_of(section["rows"], f"{work}, many", f"{work}, few")
        counts = f"{section['many']:,} images relative to {section['few']:,}"
        yield Goal(f"peak memory of the {work}: {counts}", 1.1, False, ratio, "x")


GOALS = {
    "embedding": _embedding,
    "sweep": _sweep,
    "search": _search,
    "memory": _memory,
}
