"""Choice of the clusters of queries: the units that intervals and tests resample as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.clusters import Clusters, smallest_number
from outliers_bench.evaluation.paired import ALPHA
from outliers_bench.evaluation.relevance import count_relevant
from outliers_bench.types import ENCOUNTER, GROUP, IntArray, Split

PHOTO = "photo"  # that is a query in several splits
QUERY, LABEL, AUTO = "query", "label", "auto"
FEW = 10  # clusters: intervals over fewer are rough
# Labels are taken for individuals if there are as many, with as few images in the median.
MIN_LABELS = 20
MAX_IMAGES = 30


@dataclass
class Statistics:
    """Intervals of the scores.

    Parameters
    ----------
    cluster : str
        Clusters of queries that intervals and tests resample as a whole: `query`, `label`, or a
        column of the images, such as `group`; `auto` chooses, see `choose_unit`.
    """

    cluster: str = AUTO

    def check(self) -> None:
        """Raise `BenchError` if the option is empty."""
        if not self.cluster.strip():
            raise BenchError("statistics.cluster= is empty; omit it to use the default, auto")


def choose_unit(split: Split, requested: str = AUTO) -> str:
    """Choose the clusters of the scored queries.

    Queries of one individual or encounter are alike, so that they say less about other individuals
    than as many independent queries. With `auto`, clusters are those of the column `group`, or
    else `encounter`, if a query has one. Labels that are taken for individuals are clusters, too:
    at least 20 labels, with a median of at most 30 images in the split. If both are there, the one
    with fewer clusters is chosen, as these contain the others: an individual has several
    encounters. Else every query is a cluster.

    Parameters
    ----------
    split : Split
    requested : str
        See `Statistics`.

    Returns
    -------
    str
        `query`, `label`, or the name of a column.

    Raises
    ------
    BenchError
        If the queries have no such column, or no value in it.
    """
    columns = split.query.columns
    if requested in (QUERY, LABEL):
        return requested
    if requested != AUTO:
        if requested not in columns:
            raise BenchError(
                f"statistics.cluster={requested}: the queries of {split.name} have no such column; "
                f"give {AUTO}, {QUERY}, {LABEL}" + "".join(f", {name}" for name in sorted(columns))
            )
        if not any(_texts(columns[requested])):
            raise BenchError(
                f"statistics.cluster={requested}: no query of {split.name} has a value in this "
                f"column; give {AUTO}, {QUERY}, {LABEL} or another column"
            )
        return requested
    if not split.labeled:
        return QUERY
    every = np.arange(len(split.query), dtype=np.int64)
    found = [
        name
        for name in (GROUP, ENCOUNTER)
        if name in columns and any(cluster_texts(split, name, every))
    ][:1]
    found += [LABEL] if labels_are_individuals(split) else []
    if len(found) > 1:
        scored = np.flatnonzero(count_relevant(split) > 0)
        found.sort(key=lambda unit: make_clusters(split, unit, scored).n)
    return found[0] if found else QUERY


def labels_are_individuals(split: Split) -> bool:
    """Check whether labels have few images each, and are not few themselves."""
    label_of: dict[bytes, int] = {}
    for part in (split.train, split.gallery, split.query):
        if part.labels is not None:
            label_of.update(zip(part.digests, part.labels.tolist(), strict=True))
    counts = np.unique(np.array(list(label_of.values()), np.int64), return_counts=True)[1]
    return len(counts) >= MIN_LABELS and bool(np.median(counts) <= MAX_IMAGES)


def cluster_texts(split: Split, unit: str, rows: IntArray) -> list[str]:
    """Return the name of the cluster of each query; empty for one that is a cluster of its own.

    Parameters
    ----------
    split : Split
    unit : str
        From `choose_unit`.
    rows : array of int64, shape (n,)
        Positions of the queries.
    """
    query = split.query
    if unit == QUERY or (unit == LABEL and query.labels is None):
        return [""] * len(rows)
    if unit == LABEL and query.labels is not None:
        return [query.classes[label] for label in query.labels[rows]]
    return _texts(query.columns[unit][rows])


def _texts(values: npt.NDArray[Any]) -> list[str]:
    """Return values of a column as text; missing ones are empty."""
    if values.dtype.kind == "M":
        values = values.astype("M8[us]")  # of nanoseconds, Python makes numbers
    # NaN differs from itself.
    return ["" if v is None or v != v else str(v) for v in values.tolist()]  # noqa: PLR0124


def column_digest(split: Split, unit: str) -> str:
    """Return the digest of a column of the queries, which a split's fingerprint does not have."""
    if unit in (QUERY, LABEL):
        return ""
    texts = cluster_texts(split, unit, np.arange(len(split.query), dtype=np.int64))
    digest = hashlib.blake2b(digest_size=16)
    for content, text in sorted(zip(split.query.digests, texts, strict=True)):
        digest.update(content + text.encode() + b"\0")
    return digest.hexdigest()


def number_clusters(texts: Iterable[str]) -> IntArray:
    """Number clusters from 0 in the order of appearance; every empty text is another cluster.

    Returns
    -------
    array of int64, shape (n,)

    Examples
    --------
    >>> number_clusters(["b", "a", "", "b", ""])
    array([0, 1, 2, 0, 3])
    """
    numbers: dict[object, int] = {}
    keys = ((at, text) if text == "" else text for at, text in enumerate(texts))
    return np.array([numbers.setdefault(key, len(numbers)) for key in keys], dtype=np.int64)


def make_clusters(split: Split, unit: str, scored: IntArray) -> Clusters:
    """Return the clusters of the scored queries, given their positions."""
    return Clusters(unit, number_clusters(cluster_texts(split, unit, scored)))


def describe_clusters(unit: str, n: int) -> str:
    """Return number and kind of clusters.

    Examples
    --------
    >>> describe_clusters("label", 36), describe_clusters("query", 1460)
    ('36 individuals (labels)', '1,460 queries, taken for independent')
    >>> describe_clusters("camera", 7)
    '7 values of camera; fewer than 10 give rough intervals'
    >>> describe_clusters("camera", 4)
    '4 values of camera; fewer than 6 show no difference'
    >>> describe_clusters("camera", 2)
    '2 values of camera; fewer than 3 say nothing about others'
    """
    independent = ", taken for independent" if unit == QUERY else ""
    bounds = {
        3: "fewer than 3 say nothing about others",
        smallest_number(ALPHA): f"fewer than {smallest_number(ALPHA)} show no difference",
        FEW: f"fewer than {FEW} give rough intervals",
    }
    too_few = next((f"; {text}" for bound, text in bounds.items() if n < bound), "")
    return f"{n:,} {name_unit(unit)}{independent}{too_few}"


def name_unit(unit: str) -> str:
    """Return the name of several clusters of a unit."""
    names = {QUERY: "queries", PHOTO: "photos", LABEL: "individuals (labels)", GROUP: "groups"}
    return (names | {ENCOUNTER: "encounters"}).get(unit, f"values of {unit}")
