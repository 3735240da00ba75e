"""`data=synthetic`: small generated images, in any number, for tests and benchmarks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.source import LabeledSource
from outliers_bench.data.synthetic_encounters import Encounter
from outliers_bench.errors import BenchError
from outliers_bench.types import CAMERA, ENCOUNTER, RGB, TIME, ImageSet, LeftOut

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
        Number of classes, of individuals per class, and of images per individual, or per encounter.
    encounters : int or None
        Number of encounters per individual. Images of one encounter share scene, light, and pose,
        and are seconds apart; they have the columns `individual`, `encounter`, `camera`, and
        `time`. None for images that have nothing but the individual in common.
    cameras : int
        Number of cameras. Each encounter is at one of them; each has its own scene, angle, and
        colors.
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
    encounters: int | None = None
    cameras: int = 1
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
        for option in ("classes", "individuals", "images", "encounters", "cameras", "size"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise BenchError(f"data.{option}={value}: give 1 or more")
        if self.cameras > 1 and self.encounters is None:
            raise BenchError(
                f"data.cameras={self.cameras}: images are taken by cameras in encounters; give "
                "their number per individual too, such as data.encounters=6"
            )
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
        renderer = Renderer(self.generator_seed, self.size, self.noise, self.cameras)
        individuals = [
            f"class_{c:03d}/individual_{i:03d}"
            for c in range(self.classes)
            for i in range(self.individuals)
        ]
        folders = [(name, name) for name in individuals]
        if self.encounters is not None:
            folders = [
                (name, f"{name}/encounter_{e:03d}")
                for name in individuals
                for e in range(self.encounters)
            ]
        names = [f"{folder}/{n:04d}" for _, folder in folders for n in range(self.images)]
        labels = [individual for individual, _ in folders for _ in range(self.images)]
        columns = {} if self.encounters is None else _columns(renderer, names, labels)
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
            columns=columns,
        )


def _columns(
    renderer: Renderer, names: Sequence[str], individuals: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """Return the columns of images in encounters."""
    photos = [renderer.photo(name) for name in names]
    texts = {
        "individual": individuals,
        ENCOUNTER: [name.rpartition("/")[0] for name in names],
        CAMERA: [f"camera_{encounter.camera:02d}" for encounter, _ in photos],
    }
    times = np.array([encounter.time(n) for encounter, n in photos], dtype="datetime64[s]")
    columns = {name: np.array(values, dtype=np.object_) for name, values in texts.items()}
    return columns | {TIME: times}


@dataclass(frozen=True)
class Renderer:
    """Reader that generates images from names.

    The names are `class_<c>/individual_<i>/<image>`, with `encounter_<e>/` before the image if it
    is of an encounter.
    """

    seed: int
    size: int
    noise: float
    cameras: int = 1

    def digest(self, name: str) -> bytes:
        """Return the digest of everything that determines an image."""
        recipe = f"synthetic {GENERATOR} {self.seed} {self.size} {self.noise!r} {name}"
        if "encounter_" in name:
            recipe += f" cameras {self.cameras}"
        return content_hash(recipe.encode()).digest()

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Generate one image; see `ImageReader.read`."""
        if "encounter_" in name:
            encounter, number = self.photo(name)
            return encounter.render(number, size=self.size, noise=self.noise)
        import cv2

        kind, individual, image = map(_number, name.split("/"))
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

    def photo(self, name: str) -> tuple[Encounter, int]:
        """Return the encounter of an image, and the number of the image in it."""
        kind, individual, encounter, image = map(_number, name.split("/"))
        return Encounter(self.seed, kind, individual, encounter, self.cameras), image


def _number(part: str) -> int:
    return int(part.rpartition("_")[2])


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
