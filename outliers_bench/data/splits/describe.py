"""Description of a split that is not the default one, for the summary of a run."""

from __future__ import annotations

import numpy as np

from outliers_bench.data.labels import normalize
from outliers_bench.runtime.units import list_first
from outliers_bench.types import ImageSet

_LISTED = 3  # values of a part


def describe_split(
    train: ImageSet,
    query: ImageSet,
    gallery: ImageSet,
    *,
    setting: str,
    by: str,
    in_each_class: bool,
) -> str:
    """Describe the classes of the parts, and the times or other values that decided them.

    Parameters
    ----------
    train, query, gallery : ImageSet
        Labeled parts.
    setting : str
        Name of a `Setting`.
    by : str
        Column that decided the parts; empty for none.
    in_each_class : bool
        Whether each class was split by itself.

    Returns
    -------
    str
        Empty for a closed set split at random.
    """
    texts = []
    in_train, in_query, in_gallery = (
        set([] if part.labels is None else part.labels.tolist()) for part in (train, query, gallery)
    )
    if setting == "open_set":
        unknown = in_query - in_train - in_gallery
        n = 0 if query.labels is None else int(np.isin(query.labels, list(unknown)).sum())
        texts.append(
            f"open set: {len(unknown):,} of {len(in_train | in_query | in_gallery):,} classes are "
            f"unknown, with {n:,} of {len(query):,} queries"
        )
    elif setting == "disjoint_set":
        others = len(in_query | in_gallery)
        texts.append(
            f"disjoint set: {len(in_train):,} classes in train, {others:,} in query and gallery"
        )
    if by:
        parts = {"train": train, "gallery": gallery, "query": query}
        values = [f"{title} {_values(part, by)}" for title, part in parts.items() if len(part)]
        each = ", in each class" if in_each_class else ""
        texts.append(f"by {by}{each}: {', '.join(values)}")
    return "; ".join(texts)


def _values(part: ImageSet, column: str) -> str:
    values = part.columns[column]
    if values.dtype.kind == "M":
        days = values.astype("M8[D]")
        return f"{days.min()} to {days.max()}"
    names = sorted({normalize(str(value)) for value in values.tolist()})
    return f"{len(names):,}" + (f" ({list_first(names)})" if len(names) <= _LISTED else "")
