"""Units of a split: images that stay together, in an order that depends on their content."""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

from outliers_bench.data.components import rows_by_value
from outliers_bench.types import ImageSet

TRAIN, QUERY, GALLERY = range(3)  # parts in arrays, as positions in `table.PARTS`
NO_PART = -1


def units_by_class(images: ImageSet, seed: int) -> dict[int, list[list[int]]]:
    """Return the units of each class in a seeded order that depends on content only.

    Returns
    -------
    dict of int to list of list of int
        Rows of each unit, by label. A group is a unit of the class that most of its images have.
    """
    units: dict[int, list[list[int]]] = defaultdict(list)
    for label, unit in find_units(images):
        units[label].append(unit)
    return {label: sort_units(units[label], images, seed) for label in sorted(units)}


def find_units(images: ImageSet) -> list[tuple[int, list[int]]]:
    """Return label and rows of each unit; see `units_by_class`."""
    groups: Sequence[int | str] = images.groups or range(len(images))
    labels = [] if images.labels is None else images.labels.tolist()
    units = []
    for unit in rows_by_value(groups):
        votes = Counter(labels[row] for row in unit)
        units.append((min(votes, key=lambda label: (-votes[label], label)), unit))
    return units


def sort_units(units: Iterable[list[int]], images: ImageSet, seed: int) -> list[list[int]]:
    """Sort units, given by their rows, by a seeded hash of the content of their images."""
    keyed = [(_hash(seed, [images.digests[row] for row in unit]), unit) for unit in units]
    return [unit for _, unit in sorted(keyed)]


def _hash(seed: int, digests: list[bytes]) -> bytes:
    content = b"".join([f"{seed}\n".encode(), *sorted(digests)])
    return hashlib.blake2b(content, digest_size=16).digest()


def assign_units(
    units: list[list[int]], *, train: float, query: float
) -> list[tuple[int, list[list[int]]]]:
    """Assign units, given by their rows, to the parts: the first ones to train.

    Parameters
    ----------
    units : list of list of int
    train, query : float
        See `split.SplitOptions`.

    Returns
    -------
    list of (int, list of list of int)
        Each part and its units. Two or more units are at least one in query and one in gallery; a
        single one is in train, or in the gallery if there is no train.
    """
    sizes = [len(unit) for unit in units]
    if len(units) == 1:
        return [(TRAIN if train > 0 else GALLERY, units)]
    to_train = count_for_share(sizes, train, least=0, most=len(units) - 2)
    to_query = count_for_share(sizes[to_train:], query, least=1, most=len(units) - to_train - 1)
    remaining = units[to_train:]
    return [
        (TRAIN, units[:to_train]),
        (QUERY, remaining[:to_query]),
        (GALLERY, remaining[to_query:]),
    ]


def count_for_share(sizes: Sequence[int], share: float, *, least: int, most: int) -> int:
    """Return the number of first units whose size is closest to a share of the images.

    Halves are rounded up: a class of 3 with a share of 0.5 gives 2.
    """
    target = share * sum(sizes)
    best, best_error, total = least, math.inf, sum(sizes[:least])
    for count in range(least, most + 1):
        error = abs(target - total)
        if error < best_error + 1e-9:
            best, best_error = count, error
        total += sizes[count] if count < len(sizes) else 0
    return best
