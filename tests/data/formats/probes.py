"""Probes of image formats: a file, the picture it shows, and what other readers see in it."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

HEIGHT, WIDTH = 48, 64


@dataclass(frozen=True)
class Sample:
    """A file made for a probe."""

    data: bytes
    expected: np.ndarray | None  # upright RGB; None if it is to be refused as unsupported
    # Arrays that an independent reader and the writer have of it, which must be the same.
    read: np.ndarray | None = None
    written: np.ndarray | None = None


@dataclass(frozen=True)
class Probe:
    """One file of one kind."""

    format: str
    group: str  # a row of the table in docs/formats.md
    name: str
    make: Callable[[], Sample]
    tolerance: int = 0  # of 255
    extra: str | None = None  # that writing or reading it needs

    @property
    def id(self) -> str:
        return f"{self.format} {self.group}: {self.name}"


def noise(*shape, dtype="u1", seed=0, high=None):
    """Random samples over the whole range of a number type."""
    dtype = np.dtype(dtype)
    random = np.random.default_rng(seed)
    if dtype.kind == "f":
        return (random.random(shape) * 8 - 3).astype(dtype)
    limits = np.iinfo(dtype)
    return random.integers(limits.min, high or limits.max, shape, dtype=dtype, endpoint=not high)


def smooth(*, channels=3, top=255):
    """Ramps in different directions, which lossy formats hardly change."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    ramps = [down / (HEIGHT - 1), across / (WIDTH - 1), (down + across) / (HEIGHT + WIDTH - 2)]
    ramps.append(1 - ramps[0])
    picture = np.rint(np.stack(ramps[:channels], 2) * top)
    return picture[..., 0] if channels == 1 else picture


def rgb(gray):
    """Gray as three equal channels."""
    return np.repeat(gray[..., None], 3, 2).astype(np.uint8)


def stretched(samples):
    """Stretch by sorting, the range without one in a thousand at either end."""
    values = np.sort(samples[np.isfinite(samples.astype(float))].astype(float), axis=None)
    cut = len(values) // 1000
    low, high = values[cut], values[len(values) - 1 - cut]
    return np.floor((samples.astype(float) - low) / (high - low) * 255 + 0.5).clip(0, 255)


def over_white(color, alpha):
    """Composite 8-bit color over white; alpha from 0 to 1."""
    return np.floor(color * alpha[..., None] + 255 * (1 - alpha[..., None]) + 0.5)


def save(image, kind, **options):
    """Encode with Pillow."""
    from PIL import Image

    stream = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        stream, kind, **options
    )
    return stream.getvalue()


def open_with_pillow(data, mode=None):
    """Decode with Pillow."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        return np.asarray(image.convert(mode) if mode else image)
