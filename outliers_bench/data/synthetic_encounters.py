"""Generated encounters: photos that share an individual, a camera, a moment, a pose, and a light.

What an encounter has in common finds its other photos, as in photos of animals in the field: the
scene of the camera, the light and clutter of the moment, the pose. The individual has a coat of
blotches that changes slowly over the years.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.types import RGB, FloatArray

FIRST_DAY, DAYS = np.datetime64("2021-01-01"), 3 * 365
"""First day of the encounters, and the number of days over which they are spread."""
_SECONDS = 12  # from one photo of an encounter to the next, plus up to 7
_AGING = 0.9  # radians that the coat turns toward that of old age, in all these days
# Streams of random numbers, apart from those of the other generated images, which have one digit.
_ENCOUNTER, _PHOTO, _CAMERA, _COAT, _KIND = (2**31 + n for n in range(1, 6))


@dataclass(frozen=True)
class Encounter:
    """One visit of an individual to a camera.

    Parameters
    ----------
    seed, kind, individual, number : int
        Seed of the images, class, individual of the class, and encounter of the individual.
    cameras : int
        Number of cameras, at least 1; each encounter is at one of them.
    """

    seed: int
    kind: int
    individual: int
    number: int
    cameras: int

    def random(self, stream: int, *more: int) -> np.random.Generator:
        """Return random numbers of the encounter, or of one photo of it."""
        return np.random.default_rng(
            [self.seed, stream, self.kind, self.individual, self.number, *more]
        )

    @cached_property
    def camera(self) -> int:
        """Number of the camera."""
        return int(self.random(_CAMERA).integers(self.cameras))

    @cached_property
    def start(self) -> np.datetime64:
        """Time of the first photo, between 6 and 18 o'clock."""
        random = self.random(_ENCOUNTER)
        day, second = random.integers(DAYS), random.integers(6 * 3600, 18 * 3600)
        return FIRST_DAY + np.timedelta64(int(day) * 86_400 + int(second), "s")

    def time(self, photo: int) -> np.datetime64:
        """Return the time of a photo, numbered from 0: 5 to 19 s after the one before."""
        extra = self.random(_PHOTO, photo).integers(8) if photo else 0
        return self.start + np.timedelta64(_SECONDS * photo + int(extra), "s")

    def render(self, photo: int, *, size: int, noise: float) -> RGB:
        """Generate a photo, numbered from 0; `size` in pixels, `noise` as in `Synthetic`."""
        import cv2

        shared, own = self.random(_ENCOUNTER, 1), self.random(_PHOTO, photo, 1)
        scene = _scene(self.seed, self.camera, size)
        margin = scene.shape[0] - size
        x, y = (shared.uniform(0.3, 0.7, 2) * margin).astype(int)
        pixels = scene[y : y + size, x : x + size].copy()
        for _ in range(4):  # shrubs and shadows of the moment
            center = tuple(int(v) for v in shared.uniform(0, size, 2))
            axes = tuple(int(v) for v in size * shared.uniform(0.06, 0.2, 2))
            color = tuple(float(v) for v in shared.uniform(20, 190) * shared.uniform(0.6, 1, 3))
            angle = float(shared.uniform(0, 180))
            cv2.ellipse(pixels, center, axes, angle, 0, 360, color, -1, cv2.LINE_AA)

        age = (self.start - FIRST_DAY) / np.timedelta64(DAYS, "D")
        body = _body(self.seed, self.kind, self.individual, round(float(age), 3), size)
        posed = cv2.warpAffine(body, self._pose(shared, own, size), (size, size))
        mask = posed[..., 3:]
        pixels = pixels * (1 - mask) + posed[..., :3]
        pixels *= self._light(shared, size) * np.float32(own.uniform(0.95, 1.05))
        if noise:
            pixels += np.float32(255 * noise) * own.standard_normal(pixels.shape, np.float32)
        rgb: RGB = np.clip(pixels, 0, 255).astype(np.uint8)
        return rgb

    def _pose(
        self, shared: np.random.Generator, own: np.random.Generator, size: int
    ) -> npt.NDArray[np.float64]:
        """Return the affine transform, (2, 3), of the upright body into the photo."""
        view = np.random.default_rng([self.seed, _CAMERA, self.camera])
        turn = np.radians(shared.uniform(-25, 25) + own.uniform(-4, 4))
        scale = shared.uniform(0.75, 1.15) * own.uniform(0.97, 1.03)
        squeeze, shear = view.uniform(0.75, 1.0), view.uniform(-0.25, 0.25)
        rotation = np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        matrix = scale * np.array([[squeeze, shear], [0, 1]]) @ rotation
        middle = np.array([size, size]) / 2
        shift = size * (shared.uniform(-0.14, 0.14, 2) + own.uniform(-0.04, 0.04, 2))
        return np.column_stack([matrix, middle + shift - matrix @ middle])

    def _light(self, shared: np.random.Generator, size: int) -> FloatArray:
        """Return the light on each pixel, shape (size, size, 3): camera, season, and moment."""
        camera = np.random.default_rng([self.seed, _CAMERA, self.camera, 1])
        cast = camera.uniform(0.85, 1.15, 3)
        season = 2 * np.pi * float((self.start - FIRST_DAY) / np.timedelta64(365, "D"))
        cast = cast * (1 + 0.12 * np.sin(season) * np.array([1, -0.2, -1]))
        y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j]
        direction = shared.uniform(0, 2 * np.pi)
        slope = 0.25 * (x * np.cos(direction) + y * np.sin(direction))
        light: FloatArray = (shared.uniform(0.65, 1.2) * (1 + slope)[..., None] * cast).astype(
            np.float32
        )
        return light


def _smooth_noise(random: np.random.Generator, shape: tuple[int, ...], sigma: float) -> FloatArray:
    """Return smooth noise with mean 0 and standard deviation 1; `sigma` in pixels."""
    import cv2

    cv: Any = cv2
    noise: FloatArray = random.standard_normal(shape, np.float32)
    noise = cv.GaussianBlur(noise, (0, 0), max(sigma, 0.3))
    noise -= noise.mean()
    return noise / np.float32(max(float(noise.std()), 1e-6))


@lru_cache(maxsize=64)
def _scene(seed: int, camera: int, size: int) -> FloatArray:
    """Return what a camera sees without animals, larger than a photo: (1.25 size, ..., 3)."""
    random = np.random.default_rng([seed, _CAMERA, camera, 2])
    side = size + size // 4
    tint = random.uniform([0.8, 0.85, 0.45], [1.2, 1.15, 0.9], (3, 3))
    palette = (random.uniform(50, 180, (3, 1)) * tint).astype(np.float32)
    coarse = _smooth_noise(random, (side, side), size / 8)
    fine = _smooth_noise(random, (side, side), size / 40)
    ground = 0.5 + 0.5 * np.tanh(1.5 * coarse)
    pixels = palette[0] + ground[..., None] * (palette[1] - palette[0])
    pixels = pixels + 0.3 * np.tanh(fine)[..., None] * (palette[2] - 110)
    scene: FloatArray = np.clip(pixels, 0, 255).astype(np.float32)
    return scene


@lru_cache(maxsize=256)
def _body(seed: int, kind: int, individual: int, age: float, size: int) -> FloatArray:
    """Return an upright individual, shape (size, size, 4): colors times mask, and the mask.

    The class determines outline and colors. The individual has its own blotches, and `age`, from 0
    to 1, turns them toward others.
    """
    base = np.random.default_rng([seed, _KIND, kind])
    y, x = np.mgrid[-1 : 1 : size * 1j, -1 : 1 : size * 1j].astype(np.float32)
    lobes, depth = base.integers(2, 5), base.uniform(0.05, 0.15)
    angle = np.arctan2(y, x)
    outline = 0.52 * (1 + depth * np.cos(lobes * angle + base.uniform(0, 6.3)))
    edge = outline - np.hypot(x * 0.8, y * 1.25)
    mask = np.clip(edge * size / 3, 0, 1)
    dark, light = base.uniform(20, 90, 3), base.uniform(140, 235, 3)
    grain = size / base.uniform(22, 30)

    coat = np.random.default_rng([seed, _COAT, kind, individual])
    young, old = (_smooth_noise(coat, (size, size), grain) for _ in range(2))
    turned = np.cos(_AGING * age) * young + np.sin(_AGING * age) * old
    blotches = 0.5 + 0.5 * np.tanh(4 * (turned - 0.2))
    shade = coat.normal(0, 8, (2, 3))
    colors = (light + shade[0]) + blotches[..., None] * (dark + shade[1] - light - shade[0])
    return np.dstack([colors * mask[..., None], mask]).astype(np.float32)
