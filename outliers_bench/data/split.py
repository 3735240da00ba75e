"""Splitting labeled images into train, query, and gallery: seeded, stratified, by content."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import Enum

import numpy as np

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.errors import BenchError
from outliers_bench.types import (
    CROPPED_FROM,
    ITSELF,
    Excluded,
    ImageSet,
    IntArray,
    LeftOut,
    Split,
    same,
)


class Protocol(Enum):
    """Evaluation protocol: the queries, and the images that each is compared with."""

    query_gallery = "query_gallery"
    """Each image is in one of train, query, and gallery."""
    leave_one_out = "leave_one_out"
    """Each image is a query against all others; there are no training images."""


def make_split(
    images: ImageSet,
    *,
    name: str,
    train: float,
    query: float,
    protocol: Protocol,
    seed: int,
    left_out: Sequence[LeftOut] = (),
) -> Split:
    """Split one labeled set into train, query, and gallery.

    The part of an image depends on the seed and on the content of the images, so renaming or
    reordering files changes nothing. Each class is split separately. A class of two or more images
    has at least one in query and one in gallery, and none in train if necessary. A class of one
    image goes to train, or to the gallery if there is no train. A group is treated like a single
    image of the class that most of its images have.

    Parameters
    ----------
    images : ImageSet
        Labeled images; exact duplicates are removed here.
    name : str
        Name of the data set.
    train : float
        Share of each class that goes to train, in [0, 1); see `check_shares`.
    query : float
        Share of the remaining images that goes to query, in (0, 1). The others are the gallery.
    protocol : Protocol
        `leave_one_out` ignores both shares.
    seed : int
        Decides the order in which the images of a class are assigned.
    left_out : sequence of LeftOut
        Images of the source that are excluded already.

    Raises
    ------
    BenchError
        If there are fewer than two classes, no class can be split, or `leave_one_out` is requested
        for images in groups.
    """
    if images.labels is None:
        raise BenchError(f"{name}: images without labels cannot be split into query and gallery")
    total = len(images)
    (images,), duplicates = deduplicate([images])
    if duplicates and not len(images):
        first = duplicates[0]
        raise BenchError(
            f"{name}: all {total:,} images are excluded, {first.name} first: it {first.detail}"
        )
    left_out = (*left_out, *duplicates)
    check_classes(images, name=name)
    if protocol is Protocol.leave_one_out:
        if images.groups is not None:
            raise BenchError(
                f"{name}: with leave_one_out the images of a group would find each other; use "
                "data.protocol=query_gallery, or remove the column group"
            )
        excluded = leave_one_out_rule(images)
        return Split(name, images.take([]), images, images, excluded, left_out)

    rows: dict[str, list[int]] = {"train": [], "query": [], "gallery": []}
    for units in _units_by_class(images, seed).values():
        for part, chosen in _assign(units, train=train, query=query).items():
            rows[part] += [row for unit in chosen for row in unit]
    if not rows["query"]:
        raise BenchError(
            f"{name}: no class has two images{'' if images.groups is None else ' in two groups'}, "
            "one for query and one for gallery"
        )
    parts = {part: images.take(sorted(chosen)) for part, chosen in rows.items()}
    return Split(name, parts["train"], parts["query"], parts["gallery"], left_out=left_out)


def leave_one_out_rule(images: ImageSet) -> Excluded:
    """Return the rule by which an image does not find itself, nor other crops of its photo."""
    return same(CROPPED_FROM) if CROPPED_FROM in images.columns else ITSELF


def hold_out(images: ImageSet, share: float, *, seed: int) -> tuple[IntArray, IntArray]:
    """Split labeled images into a training set and a held-out set.

    Each class is split separately and retains at least one image, or group, for training; the
    choice depends on the seed and on the content of the images.

    Parameters
    ----------
    images : ImageSet
        Labeled images.
    share : float
        Share of each class to hold out, in [0, 1). If every class is too small for that, one image
        or group of the largest class is held out.
    seed : int
        Decides which images are held out.

    Returns
    -------
    array of int64, shape (n_train,), array of int64, shape (n_held_out,)
        Ascending rows. Nothing is held out if no class has two images.
    """
    units_by_class = list(_units_by_class(images, seed).values())
    counts = [
        _units_for_share([len(unit) for unit in units], share, least=0, most=len(units) - 1)
        for units in units_by_class
    ]
    if share > 0 and not any(counts):
        largest = max(range(len(counts)), key=lambda at: len(units_by_class[at]))
        counts[largest] = min(1, len(units_by_class[largest]) - 1)
    held_out = {
        row
        for units, count in zip(units_by_class, counts, strict=True)
        for unit in units[:count]
        for row in unit
    }
    training = [row for row in range(len(images)) if row not in held_out]
    return np.array(training, np.int64), np.array(sorted(held_out), np.int64)


def check_shares(*, train: float, query: float) -> None:
    """Raise `BenchError` for shares that leave a part empty; see `make_split`."""
    if not 0 <= train < 1:
        raise BenchError(f"data.train={train}: the share of train is from 0 to below 1")
    if not 0 < query < 1:
        raise BenchError(
            f"data.query={query}: the share of the held-out images that are queries is above 0 and "
            "below 1"
        )


def check_classes(images: ImageSet, *, name: str) -> None:
    """Raise `BenchError` if there are no images, or all are of one class."""
    present = np.unique([] if images.labels is None else images.labels).tolist()
    if len(present) == 0:
        raise BenchError(f"{name}: no images are left")
    if len(present) == 1:
        raise BenchError(
            f"{name}: all images are of one class, {images.classes[present[0]]!r}, so every result "
            "would be relevant; at least two classes are needed"
        )


def _units_by_class(images: ImageSet, seed: int) -> dict[int, list[list[int]]]:
    """Return, for each class, rows that stay together, in an order that depends on content."""
    groups: Sequence[int | str] = images.groups or range(len(images))
    members: dict[int | str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)

    labels = [] if images.labels is None else images.labels.tolist()
    units: dict[int, list[tuple[bytes, list[int]]]] = defaultdict(list)
    for unit in members.values():
        votes = Counter(labels[row] for row in unit)
        label = min(votes, key=lambda label: (-votes[label], label))
        units[label].append((_key(seed, [images.digests[row] for row in unit]), unit))
    return {label: [unit for _, unit in sorted(pairs)] for label, pairs in sorted(units.items())}


def _key(seed: int, digests: list[bytes]) -> bytes:
    content = b"".join([f"{seed}\n".encode(), *sorted(digests)])
    return hashlib.blake2b(content, digest_size=16).digest()


def _assign(units: list[list[int]], *, train: float, query: float) -> dict[str, list[list[int]]]:
    """Assign the units of one class to the parts."""
    sizes = [len(unit) for unit in units]
    if len(units) == 1:
        return {"train" if train > 0 else "gallery": units}
    to_train = _units_for_share(sizes, train, least=0, most=len(units) - 2)
    to_query = _units_for_share(sizes[to_train:], query, least=1, most=len(units) - to_train - 1)
    remaining = units[to_train:]
    return {
        "train": units[:to_train],
        "query": remaining[:to_query],
        "gallery": remaining[to_query:],
    }


def _units_for_share(sizes: list[int], share: float, *, least: int, most: int) -> int:
    """Return the number of first units whose size is closest to a share of the images.

    Halves are rounded up: a class of 3 with a share of 0.5 gives 2.
    """
    target = share * sum(sizes)
    best, best_error, total = least, math.inf, sum(sizes[:least])
    for count in range(least, most + 1):
        error = abs(target - total)
        if error < best_error + 1e-9:
            best, best_error = count, error
        total += sizes[count]
    return best
