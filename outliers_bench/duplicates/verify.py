"""Candidates made sure of: compared by their thumbnails, then decoded larger; kept by content."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock

import numpy as np

from outliers_bench.data.decode import DECODER
from outliers_bench.data.opencv import one_opencv_thread
from outliers_bench.duplicates.align import NONE, Agreement, agreement
from outliers_bench.duplicates.candidates import Candidates
from outliers_bench.duplicates.thumbnails import SIDE, Gray, Thumbnails, gray_square
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore, Space
from outliers_bench.types import ImageSet

LARGE = 128  # pixels a side at which it is decided
DETAIL, TILES = 0.7, 0.75  # what makes a near duplicate; see docs/leakage.md
_PROMISING = 0.5  # detail that the thumbnails of a pair must share to be decoded
_STEPS_SMALL, _STEPS = 15, 40
_DIGITS = 4  # of a likeness, which is kept in float32
_BATCH = 128  # pairs judged in a transaction
_HELD = 1024  # decoded squares, of 16 kB
_SPACE: Space = {
    **{"architecture": "duplicate verdicts", "version": 1, "decoder": DECODER},
    **{"small": SIDE, "large": LARGE, "promising": _PROMISING},
    **{"steps": _STEPS, "steps_small": _STEPS_SMALL},
}


def verified(
    images: ImageSet, small: Thumbnails, found: Candidates, cache: Path
) -> tuple[list[tuple[int, int, float]], bool]:
    """Those candidates that show the same picture.

    Parameters
    ----------
    images : ImageSet
        Decodes.
    small : Thumbnails
        Of them.
    found : Candidates
        Among the thumbnails.
    cache : Path
        What was judged before is found there, and needs no decoding.

    Returns
    -------
    pairs : list of (int, int, float)
        Rows of the set, first < second, and `Agreement.detail` to four decimals.
    complete : bool
        Whether all could be judged; that a photo could not be read this time says nothing of the
        next.
    """
    keys = [
        _key(images.digests[small.rows[a]], images.digests[small.rows[b]])
        for a, b in zip(found.part, found.whole, strict=True)
    ]
    with FeatureStore(cache / "features", _SPACE, 2) as store:
        known = {key: Agreement(*map(float, v)) for key, v in store.get(keys).items()}
        new = [at for at, key in enumerate(keys) if key not in known]
        if new:
            judge = _Judge(images, small)
            with one_opencv_thread(), ThreadPoolExecutor(cores(), "verify") as pool:
                judged = _judged(pool, judge, found, new)
                bar = track(judged, stage="verify", total=len(new), unit="pairs")
                made: dict[bytes, Agreement] = {}
                for at, verdict in zip(new, bar, strict=True):
                    if verdict is not None:
                        made[keys[at]] = verdict
                    if len(made) == _BATCH:
                        _keep(store, made)
                        known |= made
                        made = {}
                _keep(store, made)
                known |= made
    pairs = []
    for key, a, b in zip(keys, found.part, found.whole, strict=True):
        verdict = known.get(key, NONE)
        if verdict.detail >= DETAIL and verdict.tiles >= TILES:
            first, second = sorted((int(small.rows[a]), int(small.rows[b])))
            pairs.append((first, second, round(verdict.detail, _DIGITS)))
    return pairs, all(key in known for key in keys)


def _judged(
    pool: ThreadPoolExecutor, judge: _Judge, found: Candidates, chosen: Sequence[int]
) -> Iterator[Agreement | None]:
    """A verdict on each, some at a time, so that an interruption waits for few."""
    for start in range(0, len(chosen), _BATCH):
        yield from pool.map(lambda at: judge(found, at), chosen[start : start + _BATCH])


def _keep(store: FeatureStore, made: dict[bytes, Agreement]) -> None:
    store.add((key, np.array(verdict, np.float32)) for key, verdict in made.items())


def _key(one: bytes, other: bytes) -> bytes:
    return hashlib.blake2b(b"".join(sorted((one, other))), digest_size=16).digest()


class _Judge:
    """Compares pairs; holds the last squares that it has decoded."""

    def __init__(self, images: ImageSet, small: Thumbnails) -> None:
        self._images = images
        self._small = small
        self._held: OrderedDict[int, Gray] = OrderedDict()
        self._lock = Lock()

    def __call__(self, found: Candidates, at: int) -> Agreement | None:
        """How a candidate's pictures agree; None where one cannot be read any more."""
        part, whole, crop = int(found.part[at]), int(found.whole[at]), float(found.crop[at])
        gray = self._small.gray
        first = agreement(gray[part], gray[whole], crop, steps=_STEPS_SMALL, tiles=False)
        if first.detail < _PROMISING:
            return first
        try:
            return agreement(self._square(part), self._square(whole), crop, steps=_STEPS)
        except UnreadableImageError:
            return None

    def _square(self, at: int) -> Gray:
        with self._lock:
            held = self._held.pop(at, None)
        if held is None:
            whole = self._images.read(int(self._small.rows[at]), side=LARGE)
            held = gray_square(whole, LARGE)
        with self._lock:
            self._held[at] = held
            while len(self._held) > _HELD:
                self._held.popitem(last=False)
        return held
