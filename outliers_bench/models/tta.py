"""Test-time augmentation: mean embedding of flipped, scaled and cropped views of a photo."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import join_nonempty
from outliers_bench.types import RGB

CROP_SHARE = 0.875  # side of a crop relative to the photo, as in ImageNet evaluation


class Crops(Enum):
    """Squares that are cropped from a photo."""

    none = "none"  # the whole photo
    center = "center"
    five = "five"  # the corners and the center


class Crop(Enum):
    """Position of a crop; the value is the share of the margin above and to its left."""

    whole = None
    center = (0.5, 0.5)
    top_left = (0.0, 0.0)
    top_right = (0.0, 1.0)
    bottom_left = (1.0, 0.0)
    bottom_right = (1.0, 1.0)


_CROPS = {
    Crops.none: (Crop.whole,),
    Crops.center: (Crop.center,),
    Crops.five: tuple(crop for crop in Crop if crop is not Crop.whole),
}


@dataclass(frozen=True)
class View:
    """One augmented view of a photo."""

    size: int  # side of the network's input in pixels
    crop: Crop = Crop.whole
    flip: bool = False  # left to right

    def __str__(self) -> str:
        crop = "" if self.crop is Crop.whole else self.crop.name.replace("_", " ")
        return join_nonempty(f"{self.size}px", crop, "flip" if self.flip else "")

    @property
    def resized_size(self) -> int:
        """Side in pixels of the square that the whole photo is resized to."""
        return self.size if self.crop is Crop.whole else round(self.size / CROP_SHARE)

    def crop_image(self, image: RGB) -> RGB:
        """Crop a photo of shape (resized_size, resized_size, 3) to `size`, and flip it."""
        if self.crop.value is not None:
            top, left = (int(share * (self.resized_size - self.size)) for share in self.crop.value)
            image = image[top : top + self.size, left : left + self.size]
        return np.ascontiguousarray(image[:, ::-1] if self.flip else image)


@dataclass
class Tta:
    """Test-time augmentation: the embedding is the mean over all views of a photo.

    There is one view for each combination of scale, crop and flip.

    Parameters
    ----------
    flip : bool
        Whether to add views flipped left to right.
    scales : list of float
        Factors of `image_size`; the sizes are rounded to whole pixels.
    crops : Crops
        Squares cropped from the photo, resized to 1/0.875 of the size: the center, or the center
        and the four corners. `none` uses the whole photo.

    References
    ----------
    A. Krizhevsky, I. Sutskever, G. Hinton, "ImageNet classification with deep convolutional
    neural networks", NIPS 2012 (five crops, mirrored); A. Gordo, J. Almazán, J. Revaud,
    D. Larlus, "End-to-end learning of deep visual representations for image retrieval", IJCV 2017
    (several scales, mean of normalized vectors).
    """

    flip: bool = False
    scales: list[float] = field(default_factory=lambda: [1.0])
    crops: Crops = Crops.none

    @property
    def plain(self) -> bool:
        """True if photos are embedded only once, as they are."""
        return self == Tta()

    @property
    def label(self) -> str:
        """Non-default options; empty if there are none."""
        scales = ",".join(f"{scale:g}" for scale in self.scales)
        return join_nonempty(
            "flip" if self.flip else "",
            "" if self.scales == Tta().scales else f"scales={scales}",
            "" if self.crops is Crops.none else f"crops={self.crops.value}",
        )

    def sizes(self, image_size: int) -> list[int]:
        """Return the network's input sides in pixels, in the order of `scales`."""
        return [round(scale * image_size) for scale in self.scales]

    def of(self, image_size: int) -> list[View]:
        """Return all views; those of one size are adjacent."""
        return [
            View(size, crop, flip)
            for size in self.sizes(image_size)
            for crop in _CROPS[self.crops]
            for flip in ((False, True) if self.flip else (False,))
        ]

    def check(self, image_size: int) -> None:
        """Raise `BenchError` for invalid scales, or two that give the same size."""
        option = "model.tta.scales=[" + ",".join(f"{scale:g}" for scale in self.scales) + "]"
        if not self.scales:
            raise BenchError(f"{option}: give at least one scale; [1.0] embeds each photo once")
        if not all(scale > 0 and math.isfinite(scale * image_size) for scale in self.scales):
            raise BenchError(f"{option}: scales must be positive numbers")
        sizes = self.sizes(image_size)
        repeated = [size for size in sizes if sizes.count(size) > 1]
        if repeated:
            raise BenchError(
                f"{option}: two scales give the same {repeated[0]} pixels and would count twice"
            )
