"""`data=synthetic`: small drawn pictures, as many as wanted, for tests and for scale."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.source import CutSource
from outliers_bench.errors import BenchError
from outliers_bench.types import RGB, ImageSet, LeftOut

GENERATOR = 1
"""Version of the drawing; part of each picture's digest. Raise it when the pixels change."""


# The long form, because one member is called as the user writes it: `data.label=class`.
Label = Enum("Label", {"class": "class", "individual": "individual"})


@dataclass
class Synthetic(CutSource):
    """Pictures drawn from a seed: a body of a class's shape, colors and pattern, in some pose.

    Parameters
    ----------
    classes, individuals, images : int
        Number of classes, of individuals in each, and of pictures of each individual.
    size : int
        Side of a picture in pixels.
    label : {"class", "individual"}
        Whether pictures are right that show the same class or the same individual.
    noise : float
        Standard deviation of the noise on every pixel, of a range of 1.
    generator_seed : int
        Decides the pictures. The run's seed decides the split only.
    """

    classes: int = 10
    individuals: int = 4
    images: int = 5
    size: int = 64
    label: Label = Label["class"]
    noise: float = 0.05
    generator_seed: int = 0

    def own_name(self) -> str:
        """See `DataSource.own_name`."""
        return "synthetic"

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        for option in ("classes", "individuals", "images", "size"):
            if getattr(self, option) < 1:
                raise BenchError(f"data.{option}={getattr(self, option)}: give 1 or more")
        if not 0 <= self.noise <= 1:
            raise BenchError(f"data.noise={self.noise}: give a number from 0 to 1")

    def collect(
        self,
        cache: Path,  # noqa: ARG002 - nothing is kept
    ) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Name the pictures; see `CutSource.collect`."""
        return self.pictures(), ()

    def pictures(self) -> ImageSet:
        """All pictures, labeled, before any cut."""
        artist = Artist(self.generator_seed, self.size, self.noise)
        names = [
            f"class_{c:03d}/individual_{i:03d}/{image:04d}"
            for c in range(self.classes)
            for i in range(self.individuals)
            for image in range(self.images)
        ]
        own = [name.rpartition("/")[0] for name in names]
        if self.label is Label["class"]:
            own = [individual.partition("/")[0] for individual in own]
        classes = tuple(dict.fromkeys(own))
        number = {name: i for i, name in enumerate(classes)}
        return ImageSet(
            names=tuple(names),
            digests=tuple(artist.digest(name) for name in names),
            labels=np.array([number[name] for name in own], dtype=np.int64),
            classes=classes,
            reader=artist,
        )


@dataclass(frozen=True)
class Artist:
    """Draws the picture of a name `class_<c>/individual_<i>/<image>`.

    Parameters
    ----------
    seed : int
    size : int
        Side of a picture in pixels.
    noise : float
        See `Synthetic`.
    """

    seed: int
    size: int
    noise: float

    def digest(self, name: str) -> bytes:
        """Digest of all that decides the picture."""
        recipe = f"synthetic {GENERATOR} {self.seed} {self.size} {self.noise!r} {name}"
        return content_hash(recipe.encode()).digest()

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:  # noqa: ARG002
        """Draw one picture; see `ImageReader.read`."""
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
        ground = cv2.resize(corners, (self.size, self.size), interpolation=cv2.INTER_LINEAR)
        mask = posed[..., 3:]
        picture = ground * (1 - mask) + posed[..., :3]
        picture *= np.float32(light)
        if self.noise:
            grain = random.standard_normal(picture.shape, dtype=np.float32)
            picture += np.float32(255 * self.noise) * grain
        drawn: RGB = np.clip(picture, 0, 255).astype(np.uint8)
        return drawn


@lru_cache(maxsize=256)
def _body(seed: int, kind: int, individual: int, size: int) -> npt.NDArray[np.float32]:
    """An individual upright on nothing, shape (size, size, 4): colors times mask, and the mask.

    The class decides outline, pattern and palette; the individual bends each a little.
    """
    own = np.random.default_rng([seed, kind])
    bent = np.random.default_rng([seed, kind, individual, 2**31])
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    angle, radius = np.arctan2(y, x), np.hypot(x, y)

    lobes, depth = own.integers(2, 8), own.uniform(0.08, 0.28) + bent.normal(0, 0.03)
    stretch = own.uniform(0.7, 1.3) * bent.uniform(0.92, 1.08)
    outline = 0.6 * (1 + depth * np.cos(lobes * angle + own.uniform(0, 6.3)))
    edge = outline - np.hypot(x * stretch, y / stretch)
    mask = np.clip(edge * size / 3, 0, 1)

    direction = own.uniform(0, np.pi) + bent.normal(0, 0.12)
    pitch = own.uniform(5, 16) * bent.uniform(0.9, 1.1)
    stripes = np.sin(pitch * (x * np.cos(direction) + y * np.sin(direction)) + bent.uniform(0, 6.3))
    rings = np.sin(own.uniform(5, 14) * radius + bent.uniform(0, 6.3))
    share = own.uniform(0, 1)
    pattern = 0.5 + 0.5 * np.tanh(3 * (share * stripes + (1 - share) * rings))

    palette = np.clip(own.uniform(0, 255, (2, 3)) + bent.normal(0, 18, (2, 3)), 0, 255)
    colors = palette[0] + pattern[..., None] * (palette[1] - palette[0])
    return np.dstack([colors * mask[..., None], mask]).astype(np.float32)


def write(source: Synthetic, directory: Path, *, extension: str = "png") -> list[Path]:
    """Write all pictures as files, `<directory>/<class>/<individual>/<image>.<extension>`.

    Returns
    -------
    list of Path
        The files, in the order of `source.pictures()`.
    """
    import cv2

    images = source.pictures()
    files = []
    for row, name in enumerate(images.names):
        file = directory / f"{name}.{extension}"
        file.parent.mkdir(parents=True, exist_ok=True)
        _, encoded = cv2.imencode(f".{extension}", images.read(row)[..., ::-1])
        file.write_bytes(encoded.tobytes())
        files.append(file)
    return files
