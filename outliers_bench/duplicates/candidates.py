"""Candidate pairs of near duplicates: nearest neighbors by low frequencies of thumbnails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.duplicates.thumbnails import SIDE, Gray
from outliers_bench.runtime.progress import track
from outliers_bench.types import FloatArray, IntArray

CROPS = (1.0, 0.95, 0.9)
"""Shares of an image's sides that a crop of it may show: up to 5% less on each side."""
_WAVES = 8  # per side; a small crop shifts higher frequencies too much
_WEIGHT_POWER = 0.8  # exponent of the frequency in the weight of a wave
_NEIGHBORS = 8  # per image and crop
_MIN_COSINE = 0.75  # 240 planted duplicates had 0.95 or more, real ones go down to this
_BLOCK = 4096  # images per search


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of thumbnails, without repetitions; each array has shape (n,)."""

    part: IntArray  # may show a crop of `whole`
    whole: IntArray
    crop: FloatArray  # the value of `CROPS` that fits best


def find_candidates(gray: Gray) -> Candidates:
    """Find the nearest thumbnails of each thumbnail, by the cosine of their low frequencies.

    Memory is linear in the number of thumbnails.
    """
    n = len(gray)
    if n < 2:
        none = np.empty(0, np.int64)
        return Candidates(none, none, np.empty(0, np.float32))
    import faiss

    index = faiss.IndexFlatIP(_WAVES * _WAVES - 1)
    index.add(compute_descriptors(gray, 1.0))
    matches: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []
    blocks = [(crop, start) for crop in CROPS for start in range(0, n, _BLOCK)]
    for crop, start in track(blocks, stage="search", total=len(blocks), unit="blocks"):
        queries = compute_descriptors(gray[start : start + _BLOCK], crop)
        cosine, near = index.search(queries, min(n, _NEIGHBORS + 1))
        rows = np.arange(start, start + len(queries))[:, None]
        at, rank = np.nonzero((cosine >= _MIN_COSINE) & (near != rows))
        matches.append(
            (
                near[at, rank].astype(np.int64),
                at + start,
                np.full(len(at), crop, np.float32),
                cosine[at, rank],
            )
        )
    part, whole, crops, cosine = (np.concatenate(each) for each in zip(*matches, strict=True))
    # For a pair found several times, the crop with the highest cosine.
    low, high = np.minimum(part, whole), np.maximum(part, whole)
    order = np.lexsort((-crops, -cosine, high, low))
    first = np.ones(len(order), np.bool_)
    first[1:] = np.diff(low[order]).astype(bool) | np.diff(high[order]).astype(bool)
    chosen = order[first]
    return Candidates(part[chosen], whole[chosen], crops[chosen])


def compute_descriptors(gray: Gray, crop: float) -> FloatArray:
    """Compute descriptors: unit vectors of the low frequencies in the center of each thumbnail.

    A cosine transform as in a perceptual hash (Zauner, 2010), without the mean; frequencies are
    weighted by their number to the power 0.8, since photos have lower amplitudes at high ones.

    Parameters
    ----------
    gray : array of uint8, shape (n, SIDE, SIDE)
    crop : float
        Share of the sides to describe, centered.

    Returns
    -------
    array of float32, shape (n, 63)
    """
    basis = _cosine_basis() @ _crop_matrix(crop)
    spectrum: FloatArray = (basis @ gray.astype(np.float32) @ basis.T) * _weights()
    flat = spectrum.reshape(len(gray), -1)[:, 1:]
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    descriptors: FloatArray = np.ascontiguousarray(flat / np.maximum(length, 1e-6))
    return descriptors


def _cosine_basis() -> npt.NDArray[np.float32]:
    """Return the first waves of the orthonormal cosine transform (DCT-II), (_WAVES, SIDE)."""
    from scipy.fft import dct

    waves: npt.NDArray[np.float32] = dct(np.eye(SIDE), axis=0, norm="ortho")[:_WAVES]
    return waves.astype(np.float32)


def _crop_matrix(crop: float) -> npt.NDArray[np.float32]:
    """Return the matrix that enlarges the center of a row to its full length, linearly."""
    at = (np.arange(SIDE) + 0.5 - SIDE / 2) * crop + SIDE / 2 - 0.5
    left = np.floor(at).astype(int)
    rows = np.arange(SIDE)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    matrix[rows, left] = 1 - (at - left)
    matrix[rows, np.minimum(left + 1, SIDE - 1)] += (at - left).astype(np.float32)
    return matrix


def _weights() -> npt.NDArray[np.float32]:
    waves = np.arange(_WAVES, dtype=np.float32)
    weights: npt.NDArray[np.float32] = np.hypot(waves[:, None], waves) ** np.float32(_WEIGHT_POWER)
    return weights
