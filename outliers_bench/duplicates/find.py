"""Finding exact and near duplicates in a set of images.

Exact ones have the same content. Near ones are the same picture in another file: encoded again,
resized, cropped by up to 5% of each side, a little lighter or darker; not mirrored, not turned.
They are looked for in three steps, each of them for fewer pairs: the nearest neighbors by the low
frequencies of thumbnails (`candidates`), thumbnails laid over each other, and photos decoded at 128
pixels laid over each other (`verify`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from outliers_bench.data.decode import DECODER
from outliers_bench.duplicates.pairs import Pair, groups
from outliers_bench.store import files
from outliers_bench.types import ImageSet

__all__ = ["Found", "Pair", "find_pairs", "groups"]

VERSION = 1
"""Of the search; raise it when it finds other pairs."""


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Parameters
    ----------
    pairs : tuple of Pair
        By first and second row. Of a content that stands in several rows, its first row is paired
        with each of the others (exact) and with other pictures (near).
    unreadable : dict of int to str
        Row and reason of the images that could not be decoded; exact copies are found among them.
    unjudged : dict of int to str
        Row and reason of the images that were compared by content only: too small or too flat.
    """

    pairs: tuple[Pair, ...]
    unreadable: dict[int, str] = field(default_factory=dict)
    unjudged: dict[int, str] = field(default_factory=dict)


def find_pairs(images: ImageSet, *, cache: Path, near: bool = True) -> Found:
    """Find the images of a set that are copies of each other.

    Parameters
    ----------
    images : ImageSet
        May hold a content more than once. Labels do not matter.
    cache : Path
        What was made of each content is kept there: a second call decodes nothing, and one on the
        same images, in whatever order, looks nothing up but its result.
    near : bool
        Whether to look for more than exact copies, which needs no decoding.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(images.digests):
        rows[digest].append(row)
    pairs = [Pair(same[0], other, "exact", 1.0) for same in rows.values() for other in same[1:]]
    if not near:
        return Found(_ordered(pairs))
    contents = sorted(rows)
    once = images.take([rows[digest][0] for digest in contents])
    found = _near(once, cache)
    for one, other, likeness in found.pairs:
        first, second = sorted((rows[contents[one]][0], rows[contents[other]][0]))
        pairs.append(Pair(first, second, "near", likeness))
    unreadable, unjudged = (
        {row: why for at, why in said.items() for row in rows[contents[at]]}
        for said in (found.unreadable, found.unjudged)
    )
    return Found(_ordered(pairs), unreadable, unjudged)


def _ordered(pairs: list[Pair]) -> tuple[Pair, ...]:
    return tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second)))


@dataclass(frozen=True)
class _Near:
    pairs: list[tuple[int, int, float]]
    unreadable: dict[int, str]
    unjudged: dict[int, str]


def searched(images: ImageSet, *, cache: Path) -> bool:
    """Whether these images have been searched for near duplicates, so that it takes no time."""
    return _kept_at(sorted(set(images.digests)), cache).exists()


def _kept_at(contents: Sequence[bytes], cache: Path) -> Path:
    said = {"version": VERSION, "decoder": DECODER}
    digest = files.digest_of(said, np.frombuffer(b"".join(contents), np.uint8))
    return cache / "duplicates" / f"{digest}.npz"


def _near(images: ImageSet, cache: Path) -> _Near:
    """The near pairs of different contents, in the order of their digests."""
    path = _kept_at(images.digests, cache)
    known = files.read(path)
    if known is not None:
        try:
            return _unpacked(known)
        except (KeyError, IndexError, ValueError, TypeError):  # not written by us
            pass
    from outliers_bench.duplicates.candidates import candidates
    from outliers_bench.duplicates.thumbnails import thumbnails
    from outliers_bench.duplicates.verify import verified

    small = thumbnails(images, cache)
    pairs, complete = verified(images, small, candidates(small.gray), cache)
    found = _Near(pairs, small.unreadable, small.unjudged)
    if complete and not small.fleeting:
        files.keep(path, **_packed(found))
    return found


def _packed(found: _Near) -> dict[str, np.ndarray]:
    packed = {
        "pairs": np.array([pair[:2] for pair in found.pairs], np.int64).reshape(-1, 2),
        "likeness": np.array([pair[2] for pair in found.pairs], np.float64),
    }
    for name, said in (("unreadable", found.unreadable), ("unjudged", found.unjudged)):
        # Each reason once: there may be as many rows as images.
        reasons, which = np.unique(np.array(list(said.values()), str), return_inverse=True)
        packed |= {f"{name}_reasons": reasons, f"{name}_why": which}
        packed[f"{name}_rows"] = np.array(list(said), np.int64)
    return packed


def _unpacked(known: dict[str, np.ndarray]) -> _Near:
    pairs = zip(known["pairs"].tolist(), known["likeness"].tolist(), strict=True)
    said = []
    for name in ("unreadable", "unjudged"):
        reasons = known[f"{name}_reasons"].tolist()
        rows, which = known[f"{name}_rows"].tolist(), known[f"{name}_why"].tolist()
        said.append({row: reasons[why] for row, why in zip(rows, which, strict=True)})
    return _Near([(one, other, how) for (one, other), how in pairs], *said)
