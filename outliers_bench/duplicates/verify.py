"""Verify candidates: align thumbnails, then larger images. Verdicts are cached by content."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path

import numpy as np

from outliers_bench.data.decode import DECODER
from outliers_bench.data.opencv import one_opencv_thread
from outliers_bench.duplicates.align import NO_AGREEMENT, Agreement, measure_agreement
from outliers_bench.duplicates.candidates import Candidates
from outliers_bench.duplicates.pairs import Pair
from outliers_bench.duplicates.thumbnails import SIDE, Gray, Thumbnails, gray_square
from outliers_bench.errors import UnreadableImageError
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store.features import FeatureStore, Space
from outliers_bench.types import ImageSet

LARGE = 128  # side of the larger images in pixels
DETAIL, TILES = 0.7, 0.75  # minimum agreement of near duplicates; see docs/leakage.md
ALIKE = 0.4  # minimum detail of two photos of one scene
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
) -> tuple[list[Pair], list[tuple[int, int]], bool]:
    """Return the candidates that show the same image, with `Agreement.detail` to four decimals.

    Pairs with a verdict in the cache need no decoding.

    Returns
    -------
    pairs : list of Pair
        Rows of `images`.
    alike : list of tuple of int
        Rows of other candidates that show the same scene, such as photos of a burst.
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
        # In batches, so that an interruption waits for few and loses few.
        batches = [new[start : start + _BATCH] for start in range(0, len(new), _BATCH)]
        verify = _verifier(images, small, candidates)
        with one_opencv_thread(), ThreadPoolExecutor(cores(), "verify") as pool:
            for batch in track(batches, stage="verify", total=len(batches), unit="blocks"):
                verdicts = zip(batch, pool.map(verify, batch), strict=True)
                found = {keys[at]: verdict for at, verdict in verdicts if verdict is not None}
                store.add((key, np.array(verdict, np.float32)) for key, verdict in found.items())
                known |= found
    pairs, alike = [], []
    for key, a, b in zip(keys, candidates.part, candidates.whole, strict=True):
        verdict = known.get(key, NO_AGREEMENT)
        first, second = sorted((int(small.rows[a]), int(small.rows[b])))
        if verdict.detail >= DETAIL and verdict.tiles >= TILES:
            pairs.append(Pair(first, second, "near", round(verdict.detail, _DIGITS)))
        elif verdict.detail >= ALIKE:
            alike.append((first, second))
    return pairs, alike, all(key in known for key in keys)


def _key(one: bytes, other: bytes) -> bytes:
    return hashlib.blake2b(b"".join(sorted((one, other))), digest_size=16).digest()


def _verifier(
    images: ImageSet, small: Thumbnails, candidates: Candidates
) -> Callable[[int], Agreement | None]:
    """Return a function of a candidate: its agreement, None if an image is no longer readable."""

    @lru_cache(_MAX_SQUARES)
    def square(at: int) -> Gray:
        return gray_square(images.read(int(small.rows[at]), side=LARGE), LARGE)

    def verify(at: int) -> Agreement | None:
        part, whole = int(candidates.part[at]), int(candidates.whole[at])
        crop, gray = float(candidates.crop[at]), small.gray
        first = measure_agreement(gray[part], gray[whole], crop, steps=_STEPS_SMALL, tiles=False)
        if first.detail < _PROMISING:
            return first
        try:
            return measure_agreement(square(part), square(whole), crop, steps=_STEPS)
        except UnreadableImageError:
            return None

    return verify
