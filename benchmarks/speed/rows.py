"""Measurements of one method, and ratios between two methods."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class Row:
    """Repeated measurements of one method.

    Parameters
    ----------
    unit : str
        `photos/s`, `s`, `ms` (per query) or `MiB`.
    values : list of float
        One per repeat, in order.
    note : str
        Conditions for the reader, such as the number of photos and what the time excludes.
    details : list of dict
        Further results of each repeat.
    failed : str
        Reason why values are missing.
    """

    unit: str
    values: list[float] = field(default_factory=list)
    note: str = ""
    details: list[dict[str, Any]] = field(default_factory=list)
    failed: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Convert to a dict for JSON, with median, smallest and largest value."""
        summary: dict[str, Any] = {}
        if self.values:
            summary = {
                "median": statistics.median(self.values),
                "low": min(self.values),
                "high": max(self.values),
            }
        return summary | asdict(self)


def throughput_limit(compute: float, decode_seconds: float, cores: int) -> float:
    """Compute the photos per second if only decoding and the network use the cores.

    Parameters
    ----------
    compute : float
        Images per second of the network alone, on all cores.
    decode_seconds : float
        Time of one core to read, decode and resize a photo.
    cores : int
    """
    return 1 / (1 / compute + decode_seconds / cores)


def fix_batch_size(row: Row) -> None:
    """Recompute the limit of each repeat at the batch size with the highest median rate.

    The maximum over batch sizes in each repeat would be biased upward by noise.

    Parameters
    ----------
    row : Row
        Row whose details have `rates` by batch size, `decode_seconds` and `cores`.
    """
    if not row.details:
        return
    sizes = row.details[0]["rates"]
    best = max(sizes, key=lambda size: statistics.median(d["rates"][size] for d in row.details))
    for number, details in enumerate(row.details):
        compute = details["rates"][best]
        details |= {"batch": int(best), "compute": compute}
        row.values[number] = throughput_limit(compute, details["decode_seconds"], details["cores"])


def median_ratio(values: Sequence[float], others: Sequence[float]) -> float | None:
    """Return the median of the ratios per repeat, in which a slow repeat cancels out.

    With different numbers of repeats, the ratio of the medians. None without values, and if a
    divisor is zero, as for a peak memory that could not be read.
    """
    if not values or not others:
        return None
    try:
        if len(values) == len(others):
            return statistics.median(a / b for a, b in zip(values, others, strict=True))
        return statistics.median(values) / statistics.median(others)
    except ZeroDivisionError:
        return None
