"""Find leakage: photos that are in two parts of a split, exactly or nearly."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path

import numpy as np

from outliers_bench.duplicates.pairs import Kind, Pair, group_rows
from outliers_bench.types import ImageSet, Split

PARTS = ("query", "gallery", "train")
"""In order of priority: a duplicate stays in the first of its parts."""
Position = tuple[str, int]  # part, row


@dataclass(frozen=True, eq=False)
class Leaks:
    """Leakage found by an audit of a split."""

    images: ImageSet  # the photos concerned, once per part; without labels
    parts: tuple[str, ...]  # of each photo; only `gallery` if query and gallery are one set
    labels: tuple[str | None, ...]  # of each photo; None in a part without labels
    # Rows of `images` in two parts, or in the one set; exact ones first, then by falling likeness.
    pairs: tuple[Pair, ...]
    not_compared: int = 0  # images that are too small or too flat: compared by content only
    # For each content with near duplicates, the content that represents its group.
    representatives: Mapping[bytes, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pairs)

    def count(self, kind: Kind) -> int:
        """Return the number of pairs of a kind."""
        return sum(pair.kind == kind for pair in self.pairs)

    def counts(self) -> dict[str, float]:
        """Return the counts by their names in MLflow; counts per pair of parts only above zero."""
        by_parts = Counter(self.parts_of(pair) for pair in self.pairs)
        two_labels = sum(self.has_two_labels(pair) for pair in self.pairs)
        return {
            "leaks_exact": self.count("exact"),
            "leaks_near": self.count("near"),
            **{f"leaks_{first}_{second}": n for (first, second), n in sorted(by_parts.items())},
            **({"leaks_two_labels": two_labels} if two_labels else {}),
            **({"images_not_compared": self.not_compared} if self.not_compared else {}),
        }

    def parts_of(self, pair: Pair) -> tuple[str, str]:
        """Return the two parts of a pair."""
        return self.parts[pair.first], self.parts[pair.second]

    @property
    def is_within_set(self) -> bool:
        """True if the pairs are within the one set of query and gallery."""
        return any(self.parts_of(pair) == ("gallery", "gallery") for pair in self.pairs[:1])

    def has_two_labels(self, pair: Pair) -> bool:
        """Check whether the photos of a pair have different labels."""
        labels = self.labels[pair.first], self.labels[pair.second]
        return None not in labels and labels[0] != labels[1]

    def representative(self, content: bytes) -> bytes:
        """Return the content that represents a content and its near duplicates."""
        return self.representatives.get(content, content)


def find_leaks(split: Split, *, cache: Path) -> Leaks:
    """Find photos that are in two parts.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    from outliers_bench.duplicates.find import find_pairs

    images = split.images
    duplicates = find_pairs(images, cache=cache)
    # By content and part: a part without labels may contain thousands of images with the same
    # content, whose pairs within the part do not count.
    positions: dict[bytes, dict[str, list[Position]]] = defaultdict(lambda: defaultdict(list))
    for name in ("gallery",) if split.is_one_set else PARTS:
        for row, digest in enumerate(getattr(split, name).digests):
            positions[digest][name].append((name, row))
    leaks: list[tuple[Position, Position, Kind, float]] = []
    for by_part in positions.values():
        for one, other in combinations(by_part.values(), 2):
            met = [two for two in product(one, other) if not _is_excluded(split, *two)]
            leaks += [(*two, "exact", 1.0) for two in met]
    pairs = []
    for pair in duplicates.pairs:
        first, second = (positions[images.digests[row]] for row in (pair.first, pair.second))
        ends = [
            two
            for part, other_part in product(first, second)
            if split.is_one_set or part != other_part
            for two in product(first[part], second[other_part])
        ]
        met = [two for two in ends if not _is_excluded(split, *two)]
        leaks += [(*two, pair.kind, pair.likeness) for two in met]
        if met or not ends:
            pairs.append(pair)
    concerned = {position for leak in leaks for position in leak[:2]}
    ordered = sorted(concerned, key=lambda position: (PARTS.index(position[0]), position[1]))
    row_of = {position: row for row, position in enumerate(ordered)}
    photos: list[tuple[ImageSet, int]] = [(getattr(split, name), row) for name, row in ordered]
    found = []
    for one_at, other_at, kind, likeness in leaks:
        low, high = sorted((row_of[one_at], row_of[other_at]))
        found.append(Pair(low, high, kind, likeness))
    return Leaks(
        images=ImageSet(
            names=tuple(part.names[row] for part, row in photos),
            digests=tuple(part.digests[row] for part, row in photos),
            labels=None,
            classes=split.gallery.classes,
            reader=split.gallery.reader,
        ),
        parts=tuple(name for name, _ in ordered),
        labels=tuple(
            None if part.labels is None else part.classes[part.labels[row]] for part, row in photos
        ),
        pairs=tuple(sorted(found, key=lambda p: (p.kind, -p.likeness, p.first, p.second))),
        not_compared=len(duplicates.not_compared),
        representatives={
            images.digests[row]: images.digests[rows[0]]
            for rows in group_rows(pairs, len(images))
            for row in rows
        },
    )


def _is_excluded(split: Split, one: Position, other: Position) -> bool:
    """Check whether two photos cannot find each other, such as crops of one photo."""
    rows = {one[0]: one[1], other[0]: other[1]}
    query, gallery = rows.get("query", one[1]), rows.get("gallery", other[1])
    if "train" in rows or not split.exclusion.largest:
        return False
    return bool(split.exclusion.mask(np.array([query]), np.array([[gallery]]))[0, 0])
