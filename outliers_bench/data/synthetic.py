"""`data=synthetic`: small generated images, in any number, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.source import LabeledSource
from outliers_bench.errors import BenchError
from outliers_bench.types import RGB, ImageSet, LeftOut

GENERATOR = 1
"""Version of the generator; part of each image's digest. Increase it when the pixels change."""


# Functional syntax, because one member is a keyword: `data.label=class`.
Label = Enum("Label", {"class": "class", "individual": "individual"})


@dataclass
class Synthetic(LabeledSource):
    """Images generated from a seed: a body with a class's shape, colors, and pattern, in some pose.

    Parameters
    ----------
    classes, individuals, images : int
        Number of classes, of individuals per class, and of images per individual.
    size : int
        Side of an image in pixels.
    label : {"class", "individual"}
        Label of the images: relevant images show the same class, or the same individual.
    noise : float
        Standard deviation of the noise on every pixel, for values from 0 to 1.
    generator_seed : int
        Seed of the images. The run's seed affects the split only.
    """

    classes: int = 10
    individuals: int = 4
    images: int = 5
    size: int = 64
    label: Label = Label["class"]
    noise: float = 0.05
    generator_seed: int = 0

    def default_name(self) -> str:
        """See `DataSource.default_name`."""
        return "synthetic"

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        for option in ("classes", "individuals", "images", "size"):
            if getattr(self, option) < 1:
                raise BenchError(f"data.{option}={getattr(self, option)}: give 1 or more")
        if self.generator_seed < 0:
            raise BenchError(f"data.generator_seed={self.generator_seed}: give 0 or more")
        if not 0 <= self.noise <= 1:
            raise BenchError(f"data.noise={self.noise}: give a number from 0 to 1")

    def collect(
        self,
        cache: Path,  # noqa: ARG002 - nothing is cached
    ) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Return the images; see `LabeledSource.collect`."""
        return self.all_images(), ()

    def all_images(self) -> ImageSet:
        """Return all labeled images, before the split."""
        renderer = Renderer(self.generator_seed, self.size, self.noise)
        names = [
            f"class_{c:03d}/individual_{i:03d}/{image:04d}"
            for c in range(self.classes)
            for i in range(self.individuals)
            for image in range(self.images)
        ]
        labels = [name.rpartition("/")[0] for name in names]
        if self.label is Label["class"]:
            labels = [individual.partition("/")[0] for individual in labels]
        classes = tuple(dict.fromkeys(labels))
        number = {name: i for i, name in enumerate(classes)}
        return ImageSet(
            names=tuple(names),
            digests=tuple(renderer.digest(name) for name in names),
            labels=np.array([number[label] for label in labels], dtype=np.int64),
            classes=classes,
            reader=renderer,
        )


@dataclass(frozen=True)
class Renderer:
    """Reader that generates images from names, `class_<c>/individual_<i>/<image>`."""

    seed: int
    size: int
    noise: float

    def digest(self, name: str) -> bytes:
        """Return the digest of everything that determines an image."""
        recipe = f"synthetic {GENERATOR} {self.seed} {self.size} {self.noise!r} {name}"
        return content_hash(recipe.encode()).digest()

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Generate one image; see `ImageReader.read`."""
        import cv2

        kind, individual, image = (int(part.rpartition("_")[2]) for part in name.split("/"))
        body = _body(self.seed, kind, individual, self.size)
        random = np.random.default_rng([self.seed, kind, individual, image])
        angle, shift_x, shift_y = random.uniform(-1, 1, 3)
        scale, light = random.uniform(0.75, 1.15), random.uniform(0.7, 1.25)
        center = self.size / 2
        turn = cv2.getRotationMatrix2D((center, center), 35 * angle, scale)
        turn[:, 2] += 0.12 * self.size * np.array([shift_x, shift_y])
        posed = cv2.warpAffine(body, turn, (self.size, self.size), flags=cv2.INTER_LINEAR)

        corners = random.uniform(0, 200, (2, 2, 3)).astype(np.float32)
        background = cv2.resize(corners, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        mask = posed[..., 3:]
        pixels = background * (1 - mask) + posed[..., :3]
        pixels *= np.float32(light)
        if self.noise:
            grain = random.standard_normal(pixels.shape, dtype=np.float32)
            pixels += np.float32(255 * self.noise) * grain
        rgb: RGB = np.clip(pixels, 0, 255).astype(np.uint8)
        return rgb


@lru_cache(maxsize=256)
def _body(seed: int, kind: int, individual: int, size: int) -> npt.NDArray[np.float32]:
    """Return an upright individual, shape (size, size, 4): colors times mask, and the mask.

    The class determines outline, pattern, and palette; the individual varies each a little.
    """
    base = np.random.default_rng([seed, kind])
    variation = np.random.default_rng([seed, kind, individual, 2**31])
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    angle, radius = np.arctan2(y, x), np.hypot(x, y)

    lobes, depth = base.integers(2, 8), base.uniform(0.08, 0.28) + variation.normal(0, 0.03)
    stretch = base.uniform(0.7, 1.3) * variation.uniform(0.92, 1.08)
    outline = 0.6 * (1 + depth * np.cos(lobes * angle + base.uniform(0, 6.3)))
    edge = outline - np.hypot(x * stretch, y / stretch)
    mask = np.clip(edge * size / 3, 0, 1)

    direction = base.uniform(0, np.pi) + variation.normal(0, 0.12)
    pitch = base.uniform(5, 16) * variation.uniform(0.9, 1.1)
    stripes = np.sin(
        pitch * (x * np.cos(direction) + y * np.sin(direction)) + variation.uniform(0, 6.3)
    )
    rings = np.sin(base.uniform(5, 14) * radius + variation.uniform(0, 6.3))
    share = base.uniform(0, 1)
    pattern = 0.5 + 0.5 * np.tanh(3 * (share * stripes + (1 - share) * rings))

    palette = np.clip(base.uniform(0, 255, (2, 3)) + variation.normal(0, 18, (2, 3)), 0, 255)
    colors = palette[0] + pattern[..., None] * (palette[1] - palette[0])
    return np.dstack([colors * mask[..., None], mask]).astype(np.float32)
