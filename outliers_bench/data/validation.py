"""Validation queries: a share of the queries on which methods are chosen."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from enum import Enum

import numpy as np

from outliers_bench.data.components import connect, rows_by_value
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.choose_clusters import labels_are_individuals
from outliers_bench.types import ENCOUNTER, GROUP, ImageSet, Split


class Evaluated(Enum):
    """The queries that a run ranks."""

    queries = "queries"
    """All, or with a validation part those that are not in it."""
    validation = "validation"
    """Those of the validation part, on which methods are chosen."""


def check_validation(share: float | None, evaluated: Evaluated | None, several: str = "") -> None:
    """Raise `BenchError` if the options `validation` and `evaluate` are invalid.

    `several` is the option that makes several splits, if one does.
    """
    if not 0 <= (share or 0) < 1:
        raise BenchError(
            f"data.validation={share:g}: the share of the queries that are validation queries is "
            "from 0 to below 1"
        )
    if share and several:
        raise BenchError(
            f"{several} data.validation={share:g}: validation queries of one split are queries of "
            "another; give only one of them"
        )
    if evaluated is Evaluated.validation and not share:
        raise BenchError(
            "data.evaluate=validation: there are no validation queries; give their share, such as "
            "data.validation=0.2"
        )


def choose_validation(split: Split, *, share: float, seed: int) -> frozenset[bytes]:
    """Choose the queries of the validation part; the others are as independent of them as possible.

    Queries of the same group or encounter stay together. Where labels are taken for individuals
    (`labels_are_individuals`), so do all queries of one: the validation part then has other
    individuals than the other queries, and the same share of those that are in the gallery and of
    those that are not. Of kinds, the share is taken from the queries of each.

    The choice depends on the seed and on the content of the images, as a split does.

    Parameters
    ----------
    split : Split
        Labeled queries; all of them, before duplicates across parts are removed.
    share : float
        Share of the queries, above 0 and below 1; whole units come as close to it as they can.
    seed : int

    Returns
    -------
    frozenset of bytes
        Content digests.

    Raises
    ------
    BenchError
        If the queries have no labels, or are too few units for the share.
    """
    query, gallery = split.query, split.gallery
    if query.labels is None or gallery.labels is None:
        raise BenchError(
            f"data.validation={share:g}: query and gallery of {split.name} have no labels, so "
            "nothing could be chosen on validation queries; use data.validation=0"
        )
    whole_labels = labels_are_individuals(split)
    units = _units(query, by_label=whole_labels)
    known = set(np.unique(gallery.labels).tolist())
    strata: dict[object, list[tuple[bytes, list[int]]]] = defaultdict(list)
    for rows in units:
        votes = Counter(query.labels[rows].tolist())
        label = min(votes, key=lambda label: (-votes[label], label))
        stratum = label in known if whole_labels else label
        strata[stratum].append((_key(seed, [query.digests[row] for row in rows]), rows))
    chosen = _deal(sorted(sorted(stratum) for stratum in strata.values()), share)
    if not 0 < len(chosen) < len(query):
        raise BenchError(
            f"data.validation={share:g}: the {len(query)} queries of {split.name} are "
            f"{len(units)} {'individuals' if whole_labels else 'images or groups'} that "
            f"stay together, and this share takes {'all' if chosen else 'none'} of them; give "
            "another share, or data.validation=0"
        )
    return frozenset(query.digests[row] for row in chosen)


def select_queries(split: Split, validation: frozenset[bytes], evaluated: Evaluated) -> Split:
    """Return a split whose queries are those to rank; the gallery stays as it is.

    Parameters
    ----------
    split : Split
        With all queries.
    validation : frozenset of bytes
        From `choose_validation`; empty without a validation part.
    evaluated : Evaluated
    """
    if not validation:
        return split
    inside = [digest in validation for digest in split.query.digests]
    taken, others = (
        split.query.take([row for row, is_in in enumerate(inside) if is_in is wanted])
        for wanted in (True, False)
    )
    if evaluated is Evaluated.validation:
        return replace(split, query=taken, is_validation=True)
    return replace(split, query=others, validation=taken)


def _units(images: ImageSet, *, by_label: bool) -> list[list[int]]:
    """Return the rows that stay together: connected by a group, an encounter, or a label."""
    columns = [
        images.columns[name].tolist() for name in (GROUP, ENCOUNTER) if name in images.columns
    ]
    if by_label and images.labels is not None:
        columns.append(images.labels.tolist())
    own = [(row,) for row in range(len(images))]  # equal to no value
    present = [
        # NaN differs from itself.
        [row if v in ("", None) or v != v else v for v, row in zip(values, own, strict=True)]  # noqa: PLR0124
        for values in columns
    ]
    return rows_by_value(connect(own, *present).tolist())


def _key(seed: int, digests: Sequence[bytes]) -> bytes:
    # Not the keys of `split.make_split`, whose first units are those of train.
    content = b"".join([f"validation {seed}\n".encode(), *sorted(digests)])
    return hashlib.blake2b(content, digest_size=16).digest()


def _deal(strata: Iterable[Sequence[tuple[bytes, list[int]]]], share: float) -> list[int]:
    """Take units of each stratum in order, so that the sum so far comes close to the share.

    What is rounded in one stratum is made up for in the next: of 30 classes of one query each, a
    share of 0.2 takes six.
    """
    chosen: list[int] = []
    target = 0.0
    for stratum in strata:
        target += share * sum(len(rows) for _, rows in stratum)
        for _, rows in stratum:
            if abs(len(chosen) + len(rows) - target) >= abs(len(chosen) - target):
                continue
            chosen += rows
    return chosen
