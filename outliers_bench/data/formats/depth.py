"""Samples of any number type as the bytes of an 8-bit image."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

OUTLIERS = 1000
"""One in so many of the smallest values, and of the largest, is outside the range of a stretch.

A thermal camera's dead pixels would otherwise set the range of its pictures.
"""

_DEPTHS = (8, 10, 12, 14, 16)
_BLOCK = 2**22  # pixels that are converted at once

Samples: TypeAlias = npt.NDArray[Any]
Bytes: TypeAlias = npt.NDArray[np.uint8]


def to_bytes(samples: Samples, *, bits: int, valid: npt.NDArray[np.bool_] | None = None) -> Bytes:
    """Return samples as 8-bit values.

    - Unsigned samples of up to 8 bits: by their full range.
    - Color of 9 to 16 bits: by its full range. Where samples of 16 bits have no values above 8, 10,
      12 or 14 bits, as from cameras and microscopes of that depth, by that range.
    - Gray of more than 8 bits, and all floats, signed samples and those of 32 or 64 bits: stretched
      from the smallest to the largest value, all channels alike, except one in `OUTLIERS` at either
      end. One value alone is black.

    Parameters
    ----------
    samples : array, shape (height, width) or (height, width, channels)
    bits : int
        Bits of a sample as stored.
    valid : array of bool, shape (height, width), or None
        Pixels that count for the range of a stretch; all if None. Values that are not finite never
        count: infinite ones are black or white, NaN is black.

    Returns
    -------
    array of uint8
        In the shape of `samples`.
    """
    is_unsigned = samples.dtype.kind in "bu"
    if is_unsigned and bits <= 8:
        scaled: Bytes = np.multiply(samples, 255 // (2**bits - 1), dtype=np.uint8)
        return scaled
    if is_unsigned and bits <= 16 and samples.ndim == 3 and samples.shape[2] > 1:
        if bits == 16:
            largest = int(samples.max(initial=0))
            bits = next(depth for depth in _DEPTHS if largest < 2**depth)
        return np.right_shift(samples, bits - 8).astype(np.uint8)
    return _stretch(samples, valid)


def _stretch(samples: Samples, valid: npt.NDArray[np.bool_] | None) -> Bytes:
    low, high = _range(samples if valid is None else samples[valid])
    scale = 255 / (high - low) if high > low else 0.0
    if samples.dtype == np.uint16:
        table = np.rint((np.arange(2**16) - low) * scale).clip(0, 255).astype(np.uint8)
        stretched: Bytes = table[samples]
        return stretched
    out = np.empty(samples.shape, np.uint8)
    rows = max(1, _BLOCK // max(1, samples[0].size))
    for start in range(0, len(samples), rows):
        with np.errstate(invalid="ignore", over="ignore"):
            values = (samples[start : start + rows].astype(np.float64) - low) * scale
        np.nan_to_num(values, copy=False, nan=0, posinf=255, neginf=0)
        out[start : start + rows] = np.rint(values).clip(0, 255)
    return out


def _range(values: Samples) -> tuple[float, float]:
    """Return the smallest and the largest value but one in `OUTLIERS` at either end."""
    values = values.reshape(-1)
    if values.dtype.kind == "f":
        values = values[np.isfinite(values)]
    if not values.size:
        return 0.0, 0.0
    cut = values.size // OUTLIERS
    if values.dtype == np.uint16:
        counts = np.cumsum(np.bincount(values, minlength=2**16))
        low, high = np.searchsorted(counts, [cut, values.size - cut - 1], side="right").tolist()
    else:
        low, high = np.partition(values, [cut, values.size - cut - 1])[
            [cut, values.size - cut - 1]
        ].tolist()
    if low == high:  # a few dots on an even ground
        low, high = values.min().item(), values.max().item()
    return float(low), float(high)
