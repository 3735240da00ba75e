"""Find exact and near duplicates in a set of images.

Exact duplicates have the same content. Near duplicates are the same image in another file:
re-encoded, resized, cropped by up to 5% of each side, slightly brighter or darker; not mirrored,
not rotated. The search has three steps, each for fewer pairs: nearest neighbors by the low
frequencies of thumbnails (`candidates`), aligned thumbnails, and aligned photos decoded at 128
pixels (`verify`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from outliers_bench.data.decode import DECODER
from outliers_bench.duplicates.pairs import Pair
from outliers_bench.store import files, memo
from outliers_bench.types import ImageSet

VERSION = 2
"""Version of the search; increase it when the search finds other pairs."""


@dataclass(frozen=True)
class Duplicates:
    """Result of a search for duplicates.

    Parameters
    ----------
    pairs : tuple of Pair
        Sorted by first and second row. If several rows have the same content, the first of them is
        paired with each of the others (exact), and with other images (near).
    unreadable : dict of int to str
        Row and reason of the images that could not be decoded; their exact duplicates are found.
    not_compared : dict of int to str
        Row and reason of the images that were compared by content only: too small or too flat.
    alike : tuple of tuple of int
        Rows of different photos of the same scene, which are no duplicates; each content once.
    """

    pairs: tuple[Pair, ...]
    unreadable: dict[int, str] = field(default_factory=dict)
    not_compared: dict[int, str] = field(default_factory=dict)
    alike: tuple[tuple[int, int], ...] = ()


def find_pairs(images: ImageSet, *, cache: Path, near: bool = True) -> Duplicates:
    """Find the duplicates in a set of images.

    Parameters
    ----------
    images : ImageSet
        The same content may occur more than once. Labels are ignored.
    cache : Path
        Cache directory for thumbnails, verdicts, and results: a second call decodes nothing, and a
        call with the same images, in any order, reads the stored result.
    near : bool
        Whether to search for near duplicates too; exact ones need no decoding.

    Raises
    ------
    BenchError
        If the cache cannot be written.
    """
    rows: dict[bytes, list[int]] = defaultdict(list)
    for row, digest in enumerate(images.digests):
        rows[digest].append(row)
    pairs = [
        Pair(duplicates[0], other, "exact", 1.0)
        for duplicates in rows.values()
        for other in duplicates[1:]
    ]
    if not near:
        return Duplicates(_sort(pairs))
    contents = sorted(rows)
    unique = images.take([rows[digest][0] for digest in contents])
    found = _find_near(unique, cache)
    for pair in found.pairs:
        first, second = sorted(rows[contents[at]][0] for at in (pair.first, pair.second))
        pairs.append(Pair(first, second, "near", pair.likeness))
    unreadable, not_compared = (
        {row: reason for at, reason in reasons.items() for row in rows[contents[at]]}
        for reasons in (found.unreadable, found.not_compared)
    )
    alike = ((rows[contents[a]][0], rows[contents[b]][0]) for a, b in found.alike)
    return Duplicates(_sort(pairs), unreadable, not_compared, tuple(alike))


def _sort(pairs: list[Pair]) -> tuple[Pair, ...]:
    return tuple(sorted(pairs, key=lambda pair: (pair.first, pair.second)))


def is_cached(images: ImageSet, *, cache: Path) -> bool:
    """Check whether the near duplicates of these images are cached."""
    return _cache_file(sorted(set(images.digests)), cache).exists()


def _cache_file(contents: Sequence[bytes], cache: Path) -> Path:
    options = {"version": VERSION, "decoder": DECODER}
    digest = files.digest_of(options, np.frombuffer(b"".join(contents), np.uint8))
    return cache / "duplicates" / f"{digest}.npz"


def _find_near(images: ImageSet, cache: Path) -> Duplicates:
    """Find the near duplicates among different contents, in the order of their digests."""
    path = _cache_file(images.digests, cache)
    stored = memo.load(path, lambda path: _from_arrays(files.read_arrays(path)))
    if stored is not None:
        return stored
    from outliers_bench.duplicates.candidates import find_candidates
    from outliers_bench.duplicates.thumbnails import load_or_make_thumbnails
    from outliers_bench.duplicates.verify import verify_candidates

    small = load_or_make_thumbnails(images, cache)
    pairs, alike, complete = verify_candidates(images, small, find_candidates(small.gray), cache)
    near = Duplicates(
        tuple(pairs),
        {row: reason.detail for row, reason in small.unreadable.items()},
        small.not_compared,
        tuple(alike),
    )
    if complete and not small.has_inaccessible:
        files.save_arrays(path, **_to_arrays(near))
    return near


def _to_arrays(near: Duplicates) -> dict[str, np.ndarray]:
    arrays = {
        "pairs": np.array([(p.first, p.second) for p in near.pairs], np.int64).reshape(-1, 2),
        "alike": np.array(near.alike, np.int64).reshape(-1, 2),
        "likeness": np.array([pair.likeness for pair in near.pairs], np.float64),
    }
    for name, reasons in (("unreadable", near.unreadable), ("unjudged", near.not_compared)):
        # Each reason once: there may be as many rows as images.
        unique, which = np.unique(np.array(list(reasons.values()), str), return_inverse=True)
        arrays |= {f"{name}_reasons": unique, f"{name}_why": which}
        arrays[f"{name}_rows"] = np.array(list(reasons), np.int64)
    return arrays


def _from_arrays(arrays: dict[str, np.ndarray]) -> Duplicates:
    found = zip(arrays["pairs"].tolist(), arrays["likeness"].tolist(), strict=True)
    pairs = tuple(Pair(first, second, "near", likeness) for (first, second), likeness in found)
    reasons_by_row = []
    for name in ("unreadable", "unjudged"):
        reasons = arrays[f"{name}_reasons"].tolist()
        rows, which = arrays[f"{name}_rows"].tolist(), arrays[f"{name}_why"].tolist()
        reasons_by_row.append({row: reasons[n] for row, n in zip(rows, which, strict=True)})
    alike = tuple((first, second) for first, second in arrays["alike"].tolist())
    unreadable, not_compared = reasons_by_row
    return Duplicates(pairs, unreadable, not_compared, alike)
