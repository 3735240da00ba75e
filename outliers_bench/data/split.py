"""Cutting labeled images into train, query and gallery: seeded, stratified, by content."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from enum import Enum

import numpy as np

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, IntArray, LeftOut, Split


class Protocol(Enum):
    """What is a query, and what it is searched in."""

    query_gallery = "query_gallery"
    """Each image is in one of train, query and gallery."""
    leave_one_out = "leave_one_out"
    """Each image is a query against all others; nothing is left to train on."""


def cut(
    images: ImageSet,
    *,
    name: str,
    train: float,
    query: float,
    protocol: Protocol,
    seed: int,
    left_out: Sequence[LeftOut] = (),
) -> Split:
    """Cut one labeled set into the parts of a split.

    Which image goes where depends on the seed and on what is in the images, so renaming or
    reordering files changes nothing. Each class is cut by itself. A class of two images or more
    gives at least one to query and one to gallery, if need be none to train. A class of one image
    goes to train, or to the gallery if there is no train. Groups are cut like single images, each
    with the class that most of its images have.

    Parameters
    ----------
    images : ImageSet
        With labels; exact copies are taken off here.
    name : str
        The data set's name.
    train : float
        Share of each class that goes to train, 0 to below 1; see `check_shares`.
    query : float
        Share of the rest that goes to query, between 0 and 1. The remainder is the gallery.
    protocol : Protocol
        `leave_one_out` ignores both shares.
    seed : int
        Decides the order in which a class is dealt out.
    left_out : sequence of LeftOut
        Images of the source that did not get this far.

    Raises
    ------
    BenchError
        If there are fewer than two classes or no class can be cut, or `leave_one_out` is asked for
        images in groups.
    """
    if images.labels is None:
        raise BenchError(f"{name}: images without labels cannot be cut into query and gallery")
    (images,), copies = deduplicate([images])
    left_out = (*left_out, *copies)
    check_classes(images, name=name)
    if protocol is Protocol.leave_one_out:
        if images.groups is not None:
            raise BenchError(
                f"{name}: with leave_one_out the images of a group would find each other; use "
                "data.protocol=query_gallery, or take the column group out"
            )
        return Split(name, images.take([]), images, images, leave_one_out=True, left_out=left_out)

    rows: dict[str, list[int]] = {"train": [], "query": [], "gallery": []}
    for units in _units_by_class(images, seed).values():
        for part, chosen in _deal(units, train=train, query=query).items():
            rows[part] += [row for unit in chosen for row in unit]
    if not rows["query"]:
        raise BenchError(
            f"{name}: no class has two images{'' if images.groups is None else ' in two groups'}, "
            "one to ask for and one to find"
        )
    parts = {part: images.take(sorted(chosen)) for part, chosen in rows.items()}
    return Split(name, parts["train"], parts["query"], parts["gallery"], left_out=left_out)


def hold_out(images: ImageSet, share: float, *, seed: int) -> tuple[IntArray, IntArray]:
    """Cut labeled images once more: what is learned from, and what tells how well.

    Each class is cut by itself and keeps at least one image, or group, to learn from; which go
    depends on the seed and on what is in the images.

    Parameters
    ----------
    images : ImageSet
        With labels.
    share : float
        Share of each class that is held out, 0 to below 1. Where every class is too small for its
        share to be an image, one is held out of the largest.
    seed : int
        Decides which.

    Returns
    -------
    array of int64, shape (n_rest,), array of int64, shape (n_held,)
        Rows in their order. Nothing is held out where no class has two images.
    """
    units_by_class = list(_units_by_class(images, seed).values())
    counts = [
        _count([len(unit) for unit in units], share, least=0, most=len(units) - 1)
        for units in units_by_class
    ]
    if share > 0 and not any(counts):
        largest = max(range(len(counts)), key=lambda at: len(units_by_class[at]))
        counts[largest] = min(1, len(units_by_class[largest]) - 1)
    held = {
        row
        for units, count in zip(units_by_class, counts, strict=True)
        for unit in units[:count]
        for row in unit
    }
    rest = [row for row in range(len(images)) if row not in held]
    return np.array(rest, np.int64), np.array(sorted(held), np.int64)


def check_shares(*, train: float, query: float) -> None:
    """Refuse shares that leave a part empty; see `cut`."""
    if not 0 <= train < 1:
        raise BenchError(f"data.train={train}: the share of train is from 0 to below 1")
    if not 0 < query < 1:
        raise BenchError(
            f"data.query={query}: the share of the held-out images that are queries is above 0 and "
            "below 1"
        )


def check_classes(images: ImageSet, *, name: str) -> None:
    """Refuse images that are all of one class, or none at all."""
    present = np.unique([] if images.labels is None else images.labels).tolist()
    if len(present) == 0:
        raise BenchError(f"{name}: no images are left to work with")
    if len(present) == 1:
        raise BenchError(
            f"{name}: all images are of one class, {images.classes[present[0]]!r}, so every answer "
            "would be right; at least two classes are needed"
        )


def _units_by_class(images: ImageSet, seed: int) -> dict[int, list[list[int]]]:
    """For each class, rows that must stay together, in an order that only content decides."""
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
    return {label: [unit for _, unit in sorted(found)] for label, found in sorted(units.items())}


def _key(seed: int, digests: list[bytes]) -> bytes:
    content = b"".join([f"{seed}\n".encode(), *sorted(digests)])
    return hashlib.blake2b(content, digest_size=16).digest()


def _deal(units: list[list[int]], *, train: float, query: float) -> dict[str, list[list[int]]]:
    """One class's units by part."""
    sizes = [len(unit) for unit in units]
    if len(units) == 1:
        return {"train" if train > 0 else "gallery": units}
    to_train = _count(sizes, train, least=0, most=len(units) - 2)
    to_query = _count(sizes[to_train:], query, least=1, most=len(units) - to_train - 1)
    held_out = units[to_train:]
    return {
        "train": units[:to_train],
        "query": held_out[:to_query],
        "gallery": held_out[to_query:],
    }


def _count(sizes: list[int], share: float, *, least: int, most: int) -> int:
    """How many units, from the first on, hold the share of the images most nearly.

    Halves are rounded up: a class of 3 with a share of 0.5 gives 2.
    """
    wanted = share * sum(sizes)
    best, best_miss, held = least, math.inf, sum(sizes[:least])
    for count in range(least, most + 1):
        miss = abs(wanted - held)
        if miss < best_miss + 1e-9:
            best, best_miss = count, miss
        held += sizes[count]
    return best
