"""Relevant gallery images of each query: those of its label that are not excluded."""

from __future__ import annotations

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.runtime.units import list_first
from outliers_bench.types import IntArray, Split


def count_relevant(split: Split) -> IntArray:
    """Count the relevant gallery images of each query, without those that are excluded.

    Returns
    -------
    array of int64, shape (n_query,)
    """
    query, gallery = _labels(split)
    per_class = np.bincount(gallery, minlength=len(split.gallery.classes))
    return per_class[query].astype(np.int64) - _count_excluded(split)


def _count_excluded(split: Split) -> IntArray:
    return split.exclusion.with_equal(*_labels(split)).counts


def _labels(split: Split) -> tuple[IntArray, IntArray]:
    query, gallery = split.query.labels, split.gallery.labels
    if query is None or gallery is None:
        raise ValueError("an image set without labels cannot be scored")
    return query, gallery


def nothing_relevant(split: Split) -> BenchError:
    """Return the error about a labeled split in which no query has a relevant gallery image."""
    if split.excluded.columns and _count_excluded(split).any():
        columns = " or ".join(split.excluded.columns)
        return BenchError(
            f"{split.name}: every gallery image of a query's class is excluded, as it has the "
            f"query's {columns}, so nothing could be scored; exclude fewer columns, or add images "
            "of other values"
        )
    classes = [
        sorted({part.classes[label] for label in part.labels} if part.labels is not None else ())
        for part in (split.query, split.gallery)
    ]
    query, gallery = map(list_first, classes)
    return BenchError(
        f"{split.name}: no query has a gallery image of its class, so nothing could be scored; "
        f"query and gallery must share class names (query: {query}; gallery: {gallery})"
    )
