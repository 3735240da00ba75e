"""The figures of one contender, and the arithmetic between two of them."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Row:
    """What repeated measurements of one thing gave.

    Parameters
    ----------
    unit : str
        `photos/s`, `s`, `ms` (a query) or `MiB`.
    values : list of float
        One a repeat, in the order they were taken.
    note : str
        What a reader must know: how many photos, what is left out of the time.
    details : list of dict
        What else each repeat told.
    failed : str
        Why there are no values, or fewer.
    """

    unit: str
    values: list[float] = field(default_factory=list)
    note: str = ""
    details: list[dict[str, Any]] = field(default_factory=list)
    failed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """For JSON, with median, smallest and largest beside the values."""
        told: dict[str, Any] = {}
        if self.values:
            told = {
                "median": statistics.median(self.values),
                "low": min(self.values),
                "high": max(self.values),
            }
        return told | asdict(self)


def limit(compute: float, decode_seconds: float, cores: int) -> float:
    """Photos a second when decoding and computing share the cores and nothing else costs time.

    Parameters
    ----------
    compute : float
        Images a second of the network alone, on all cores.
    decode_seconds : float
        Time of one core to read, decode and resize a photo.
    cores : int
    """
    return 1 / (1 / compute + decode_seconds / cores)


def settle_limit(row: Row) -> None:
    """Take the limit of each repeat at the batch size that is fastest by the median of all.

    The fastest of several in each repeat by itself would be the one that noise favors: more than
    any of them can do.

    Parameters
    ----------
    row : Row
        Its details have `rates` by batch size, `decode_seconds` and `cores`.
    """
    if not row.details:
        return
    sizes = row.details[0]["rates"]
    best = max(sizes, key=lambda size: statistics.median(d["rates"][size] for d in row.details))
    for number, told in enumerate(row.details):
        told |= {"batch": int(best), "compute": told["rates"][best]}
        row.values[number] = limit(told["compute"], told["decode_seconds"], told["cores"])


def ratio(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Median of the ratios repeat by repeat: what disturbs a whole repeat cancels out.

    Where one of the two was repeated less often, the ratio of the medians. None without values,
    and where one to divide by is zero, as a memory that could not be read.
    """
    if not values or not others:
        return None
    try:
        if len(values) == len(others):
            return statistics.median(a / b for a, b in zip(values, others, strict=True))
        return statistics.median(values) / statistics.median(others)
    except ZeroDivisionError:
        return None
