"""Photos that stand in two parts of a split, exactly or nearly."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from pathlib import Path

from outliers_bench.duplicates.pairs import Kind, Pair, groups
from outliers_bench.types import ImageSet, Split

PARTS = ("query", "gallery", "train")
"""In the order in which a copy is worth keeping."""
Place = tuple[str, int]  # part, row


@dataclass(frozen=True, eq=False)
class Leaks:
    """What an audit of a split has found.

    Parameters
    ----------
    images : ImageSet
        The photos concerned, each in each part it stands in; without labels.
    parts : tuple of str
        Where each stands: `query`, `gallery` or `train`. With leave-one-out all are `gallery`.
    labels : tuple of str or None
        What each shows; None in a part without labels.
    pairs : tuple of Pair
        Rows of `images`, in two parts (with leave-one-out: of the one set); exact ones first, then
        the most alike.
    unjudged : int
        Contents that are too small or too flat, which were compared by content only.
    same : mapping of bytes to bytes
        For each content that is nearly another, one that stands for all of these.
    """

    images: ImageSet
    parts: tuple[str, ...]
    labels: tuple[str | None, ...]
    pairs: tuple[Pair, ...]
    unjudged: int = 0
    same: Mapping[bytes, bytes] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.pairs)

    def number(self, kind: Kind) -> int:
        """How many pairs are of a kind."""
        return sum(pair.kind == kind for pair in self.pairs)

    def counts(self) -> dict[str, float]:
        """The counts by their names in MLflow; those by parts only where there are some."""
        by_parts = Counter(self.between(pair) for pair in self.pairs)
        two_labels = sum(self.two_labels(pair) for pair in self.pairs)
        return {
            "leaks_exact": self.number("exact"),
            "leaks_near": self.number("near"),
            **{f"leaks_{first}_{second}": n for (first, second), n in sorted(by_parts.items())},
            **({"leaks_two_labels": two_labels} if two_labels else {}),
            **({"images_not_compared": self.unjudged} if self.unjudged else {}),
        }

    def between(self, pair: Pair) -> tuple[str, str]:
        """The parts in which a pair stands."""
        return self.parts[pair.first], self.parts[pair.second]

    @property
    def within(self) -> bool:
        """Whether they stand in one set, each photo of which is asked against all others."""
        return any(self.between(pair) == ("gallery", "gallery") for pair in self.pairs[:1])

    def two_labels(self, pair: Pair) -> bool:
        """Whether the same picture bears two labels."""
        labels = self.labels[pair.first], self.labels[pair.second]
        return None not in labels and labels[0] != labels[1]

    def stands_for(self, content: bytes) -> bytes:
        """A content that all have in common which are nearly the same."""
        return self.same.get(content, content)


def find_leaks(split: Split, *, cache: Path) -> Leaks:
    """Look for photos that stand in two parts.

    Parameters
    ----------
    split : Split
    cache : Path
        See `duplicates.find.find_pairs`.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    from outliers_bench.duplicates.find import find_pairs

    images = split.images
    found = find_pairs(images, cache=cache)
    # By content and part: a part without labels may hold thousands of one content, whose pairs
    # among themselves do not count.
    places: dict[bytes, dict[str, list[Place]]] = defaultdict(lambda: defaultdict(list))
    for name in ("gallery",) if split.leave_one_out else PARTS:
        for row, digest in enumerate(getattr(split, name).digests):
            places[digest][name].append((name, row))
    leaks: list[tuple[Place, Place, Kind, float]] = []
    for copies in places.values():
        for one, other in combinations(copies.values(), 2):
            leaks += [(*two, "exact", 1.0) for two in product(one, other)]
    for pair in found.pairs:
        first, second = (places[images.digests[row]] for row in (pair.first, pair.second))
        for part, others in product(first, second):
            if split.leave_one_out or part != others:
                two_parts = product(first[part], second[others])
                leaks += [(*two, pair.kind, pair.likeness) for two in two_parts]
    same = {
        images.digests[row]: images.digests[rows[0]]
        for rows in groups(found.pairs, len(images))
        for row in rows
    }
    return _table(split, leaks, unjudged=len(found.unjudged), same=same)


def _table(
    split: Split,
    leaks: list[tuple[Place, Place, Kind, float]],
    *,
    unjudged: int,
    same: Mapping[bytes, bytes],
) -> Leaks:
    order = {name: at for at, name in enumerate(PARTS)}
    concerned = sorted(
        {place for leak in leaks for place in leak[:2]}, key=lambda at: (order[at[0]], at[1])
    )
    row_of = {place: row for row, place in enumerate(concerned)}
    parts: list[ImageSet] = [getattr(split, name) for name, _ in concerned]
    rows = [row for _, row in concerned]
    pairs = []
    for one, other, kind, likeness in leaks:
        first, second = sorted((row_of[one], row_of[other]))
        pairs.append(Pair(first, second, kind, likeness))
    pairs.sort(key=lambda pair: (pair.kind, -pair.likeness, pair.first, pair.second))
    images = ImageSet(
        names=tuple(part.names[row] for part, row in zip(parts, rows, strict=True)),
        digests=tuple(part.digests[row] for part, row in zip(parts, rows, strict=True)),
        labels=None,
        classes=split.gallery.classes,
        reader=split.gallery.reader,
    )
    labels = tuple(
        None if part.labels is None else part.classes[part.labels[row]]
        for part, row in zip(parts, rows, strict=True)
    )
    return Leaks(images, tuple(name for name, _ in concerned), labels, tuple(pairs), unjudged, same)
