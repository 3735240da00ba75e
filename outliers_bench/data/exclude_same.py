"""Gallery images that do not count for a query: those of its label and its camera, for example."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from outliers_bench.errors import BenchError
from outliers_bench.types import Split, same


def exclude_same_values(split: Split, columns: Sequence[str]) -> Split:
    """Return the split in which junk images are excluded: neither relevant nor wrong for a query.

    They have the query's label and its value of any of the columns, or, without labels, its value.
    What is excluded already, such as the query itself in leave-one-out, remains so.

    Raises
    ------
    BenchError
        If query or gallery has no such column.

    References
    ----------
    L. Zheng et al., "Scalable Person Re-identification: A Benchmark", ICCV 2015 (Market-1501).
    """
    excluded = split.excluded
    for column in columns:
        for name in ("query", "gallery"):
            known = getattr(split, name).columns
            if column not in known:
                raise BenchError(
                    f"data.exclude_same=[{','.join(columns)}]: the {name} images of {split.name} "
                    f"have no column {column}; they have {', '.join(known) or 'no columns'}"
                )
        excluded |= same(column, and_label=True)
    return replace(split, excluded=excluded) if columns else split
