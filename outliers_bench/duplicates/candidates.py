"""Which images may be copies of each other: near by the coarse part of their thumbnails."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from outliers_bench.duplicates.thumbnails import SIDE, Gray
from outliers_bench.runtime.progress import track
from outliers_bench.types import FloatArray, IntArray

CROPS = (1.0, 0.95, 0.9)
"""Shares of an image's sides that the other may be a crop of: to 5% off each side."""
_WAVES = 8  # a side; finer than that, a crop by a few hundredths shifts too much
_WEIGHT = 0.8  # power of its number by which a wave counts
_NEAREST = 8  # images that are looked at for each image and crop
_LEAST = 0.75  # cosine; of 240 planted copies the worst had 0.95, real ones go down to this
_BLOCK = 4096  # images that are asked for at once


@dataclass(frozen=True, eq=False)
class Candidates:
    """Pairs of thumbnails, each once.

    Parameters
    ----------
    part, whole : array of int64, shape (n,)
        The two thumbnails; `part` may show a crop of `whole`.
    crop : array of float32, shape (n,)
        The share of the sides of `whole` that fits best, of `CROPS`.
    """

    part: IntArray
    whole: IntArray
    crop: FloatArray


def candidates(gray: Gray) -> Candidates:
    """The nearest thumbnails of each, by the cosine of their low frequencies.

    Memory grows with the number of thumbnails, never with its square.

    Parameters
    ----------
    gray : array of uint8, shape (n, SIDE, SIDE)
    """
    n = len(gray)
    if n < 2:
        none = np.empty(0, np.int64)
        return Candidates(none, none, np.empty(0, np.float32))
    import faiss

    index = faiss.IndexFlatIP(_WAVES * _WAVES - 1)
    index.add(describe(gray, 1.0))
    found: list[tuple[IntArray, IntArray, FloatArray, FloatArray]] = []
    blocks = [(crop, start) for crop in CROPS for start in range(0, n, _BLOCK)]
    for crop, start in track(blocks, stage="search", total=len(blocks), unit="blocks"):
        asked = describe(gray[start : start + _BLOCK], crop)
        likeness, near = index.search(asked, min(n, _NEAREST + 1))
        rows = np.arange(start, start + len(asked))[:, None]
        at, rank = np.nonzero((likeness >= _LEAST) & (near != rows))
        found.append(
            (
                near[at, rank].astype(np.int64),
                at + start,
                np.full(len(at), crop, np.float32),
                likeness[at, rank],
            )
        )
    part, whole, crops, likeness = (np.concatenate(each) for each in zip(*found, strict=True))
    # Of a pair found several ways, the crop under which the two are most alike.
    low, high = np.minimum(part, whole), np.maximum(part, whole)
    order = np.lexsort((-crops, -likeness, high, low))
    first = np.ones(len(order), np.bool_)
    first[1:] = np.diff(low[order]).astype(bool) | np.diff(high[order]).astype(bool)
    chosen = order[first]
    return Candidates(part[chosen], whole[chosen], crops[chosen])


def describe(gray: Gray, crop: float) -> FloatArray:
    """Low frequencies of the middle of each thumbnail, of unit length.

    A cosine transform as in a perceptual hash (Zauner, 2010), without its mean; frequencies are
    weighted with their number to the power 0.8, as photos have less of the higher ones.

    Parameters
    ----------
    gray : array of uint8, shape (n, SIDE, SIDE)
    crop : float
        Share of the sides that is described, in the middle.

    Returns
    -------
    array of float32, shape (n, 63)
    """
    basis = _cosines() @ _cropped(crop)
    found: FloatArray = (basis @ gray.astype(np.float32) @ basis.T) * _weights()
    flat = found.reshape(len(gray), -1)[:, 1:]
    length = np.linalg.norm(flat, axis=1, keepdims=True)
    described: FloatArray = np.ascontiguousarray(flat / np.maximum(length, 1e-6))
    return described


def _cosines() -> npt.NDArray[np.float32]:
    """The first waves of the cosine transform (DCT-II), orthonormal, shape (_WAVES, SIDE)."""
    at = (np.arange(SIDE) + 0.5) / SIDE
    waves: npt.NDArray[np.float64] = np.cos(np.pi * np.arange(_WAVES)[:, None] * at) * np.sqrt(
        2 / SIDE
    )
    waves[0] /= np.sqrt(2)
    return waves.astype(np.float32)


def _cropped(crop: float) -> npt.NDArray[np.float32]:
    """The matrix that enlarges the middle of a row to the whole row, by linear interpolation."""
    at = (np.arange(SIDE) + 0.5 - SIDE / 2) * crop + SIDE / 2 - 0.5
    left = np.floor(at).astype(int)
    rows = np.arange(SIDE)
    matrix = np.zeros((SIDE, SIDE), np.float32)
    matrix[rows, left] = 1 - (at - left)
    matrix[rows, np.minimum(left + 1, SIDE - 1)] += (at - left).astype(np.float32)
    return matrix


def _weights() -> npt.NDArray[np.float32]:
    waves = np.arange(_WAVES, dtype=np.float32)
    weights: npt.NDArray[np.float32] = np.hypot(waves[:, None], waves) ** np.float32(_WEIGHT)
    return weights
