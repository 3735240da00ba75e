"""Verify candidates: align thumbnails, then larger images. Verdicts are cached by content."""

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
from outliers_bench.duplicates.align import NO_AGREEMENT, Agreement, measure_agreement
from outliers_bench.duplicates.candidates import Candidates
from outliers_bench.duplicates.thumbnails import SIDE, Gray, Thumbnails, gray_square
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore, Space
from outliers_bench.types import ImageSet

LARGE = 128  # side of the larger images in pixels
DETAIL, TILES = 0.7, 0.75  # minimum agreement of near duplicates; see docs/leakage.md
_PROMISING = 0.5  # minimum detail agreement of thumbnails for decoding larger images
_STEPS_SMALL, _STEPS = 15, 40
_DIGITS = 4  # of a likeness, which is stored in float32
_BATCH = 128  # pairs per transaction
_MAX_SQUARES = 1024  # decoded squares in memory, 16 KiB each
_SPACE: Space = {
    **{"architecture": "duplicate verdicts", "version": 1, "decoder": DECODER},
    **{"small": SIDE, "large": LARGE, "promising": _PROMISING},
    **{"steps": _STEPS, "steps_small": _STEPS_SMALL},
}


def verify_candidates(
    images: ImageSet, small: Thumbnails, candidates: Candidates, cache: Path
) -> tuple[list[tuple[int, int, float]], bool]:
    """Return the candidates that show the same image.

    Parameters
    ----------
    images : ImageSet
        The images.
    small : Thumbnails
        Their thumbnails.
    candidates : Candidates
        Candidate pairs of thumbnails.
    cache : Path
        Cache directory; pairs with a stored verdict need no decoding.

    Returns
    -------
    pairs : list of (int, int, float)
        Rows of the set, first < second, and `Agreement.detail` to four decimals.
    complete : bool
        Whether all candidates have a verdict; a photo that is unreadable this time may be readable
        the next time.
    """
    keys = [
        _key(images.digests[small.rows[a]], images.digests[small.rows[b]])
        for a, b in zip(candidates.part, candidates.whole, strict=True)
    ]
    with FeatureStore(cache / "features", _SPACE, 2) as store:
        known = {key: Agreement(*map(float, v)) for key, v in store.get(keys).items()}
        new = [at for at, key in enumerate(keys) if key not in known]
        if new:
            verifier = _Verifier(images, small)
            with one_opencv_thread(), ThreadPoolExecutor(cores(), "verify") as pool:
                verdicts = _verify_in_batches(pool, verifier, candidates, new)
                bar = track(verdicts, stage="verify", total=len(new), unit="pairs")
                unsaved: dict[bytes, Agreement] = {}
                for at, verdict in zip(new, bar, strict=True):
                    if verdict is not None:
                        unsaved[keys[at]] = verdict
                    if len(unsaved) == _BATCH:
                        _store(store, unsaved)
                        known |= unsaved
                        unsaved = {}
                _store(store, unsaved)
                known |= unsaved
    pairs = []
    for key, a, b in zip(keys, candidates.part, candidates.whole, strict=True):
        verdict = known.get(key, NO_AGREEMENT)
        if verdict.detail >= DETAIL and verdict.tiles >= TILES:
            first, second = sorted((int(small.rows[a]), int(small.rows[b])))
            pairs.append((first, second, round(verdict.detail, _DIGITS)))
    return pairs, all(key in known for key in keys)


def _verify_in_batches(
    pool: ThreadPoolExecutor, verifier: _Verifier, candidates: Candidates, chosen: Sequence[int]
) -> Iterator[Agreement | None]:
    """Yield a verdict per candidate, in batches, so that an interruption waits for few."""
    for start in range(0, len(chosen), _BATCH):
        yield from pool.map(lambda at: verifier(candidates, at), chosen[start : start + _BATCH])


def _store(store: FeatureStore, verdicts: dict[bytes, Agreement]) -> None:
    store.add((key, np.array(verdict, np.float32)) for key, verdict in verdicts.items())


def _key(one: bytes, other: bytes) -> bytes:
    return hashlib.blake2b(b"".join(sorted((one, other))), digest_size=16).digest()


class _Verifier:
    """Comparison of candidate pairs, with the last decoded squares in memory."""

    def __init__(self, images: ImageSet, small: Thumbnails) -> None:
        self._images = images
        self._small = small
        self._squares: OrderedDict[int, Gray] = OrderedDict()
        self._lock = Lock()

    def __call__(self, candidates: Candidates, at: int) -> Agreement | None:
        """Return the agreement of a candidate pair; None if an image is no longer readable."""
        part, whole = int(candidates.part[at]), int(candidates.whole[at])
        crop = float(candidates.crop[at])
        gray = self._small.gray
        first = measure_agreement(gray[part], gray[whole], crop, steps=_STEPS_SMALL, tiles=False)
        if first.detail < _PROMISING:
            return first
        try:
            return measure_agreement(self._square(part), self._square(whole), crop, steps=_STEPS)
        except UnreadableImageError:
            return None

    def _square(self, at: int) -> Gray:
        with self._lock:
            square = self._squares.pop(at, None)
        if square is None:
            image = self._images.read(int(self._small.rows[at]), side=LARGE)
            square = gray_square(image, LARGE)
        with self._lock:
            self._squares[at] = square
            while len(self._squares) > _MAX_SQUARES:
                self._squares.popitem(last=False)
        return square
