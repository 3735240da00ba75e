"""Test-time views: a photo embedded mirrored, in several sizes, in cut-outs, and averaged."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from enum import Enum

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import joined
from outliers_bench.types import RGB

CROP_SHARE = 0.875  # of each side is left by a cut; what ImageNet networks are evaluated with


class Crops(Enum):
    """Which squares are cut from a photo."""

    none = "none"  # the photo as a whole
    center = "center"
    five = "five"  # the corners and the center


class Crop(Enum):
    """Where a square is cut; its value is the share of the margin above and to the left."""

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
    """One way to look at a photo.

    Parameters
    ----------
    size : int
        Side in pixels of the square that the network sees.
    crop : Crop
        What of the photo is in it.
    flip : bool
        Whether left and right are exchanged.
    """

    size: int
    crop: Crop = Crop.whole
    flip: bool = False

    def __str__(self) -> str:
        crop = "" if self.crop is Crop.whole else self.crop.name.replace("_", " ")
        return joined(f"{self.size}px", crop, "flip" if self.flip else "")

    @property
    def resized_size(self) -> int:
        """Side in pixels of the square that the whole photo is squeezed to."""
        return self.size if self.crop is Crop.whole else round(self.size / CROP_SHARE)

    def crop_image(self, image: RGB) -> RGB:
        """What is seen of a photo that has been squeezed.

        Parameters
        ----------
        image : array of uint8, shape (squeezed, squeezed, 3)

        Returns
        -------
        array of uint8, shape (size, size, 3)
        """
        if self.crop.value is not None:
            top, left = (int(share * (self.resized_size - self.size)) for share in self.crop.value)
            image = image[top : top + self.size, left : left + self.size]
        return np.ascontiguousarray(image[:, ::-1] if self.flip else image)


@dataclass
class Tta:
    """How often, and how, each photo is looked at; the embedding is the mean over all views.

    There is a view for every scale, every crop, and every mirroring of these.

    Parameters
    ----------
    flip : bool
        Whether a photo is embedded mirrored left to right too.
    scales : list of float
        What `image_size` is multiplied with; rounded to whole pixels.
    crops : Crops
        Squares cut from a photo that was squeezed to 1/0.875 of the size: the central one, or
        that and the four in the corners. `none` takes the photo as a whole.

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
        """Whether photos are embedded once, as they are."""
        return self == Tta()

    @property
    def label(self) -> str:
        """What is unusual; empty where nothing is."""
        scales = ",".join(f"{scale:g}" for scale in self.scales)
        return joined(
            "flip" if self.flip else "",
            "" if self.scales == Tta().scales else f"scales={scales}",
            "" if self.crops is Crops.none else f"crops={self.crops.value}",
        )

    def sizes(self, image_size: int) -> list[int]:
        """Sides in pixels that the network sees, in the order of `scales`."""
        return [round(scale * image_size) for scale in self.scales]

    def of(self, image_size: int) -> list[View]:
        """All views of photos; those of one size stand together."""
        return [
            View(size, crop, flip)
            for size in self.sizes(image_size)
            for crop in _CROPS[self.crops]
            for flip in ((False, True) if self.flip else (False,))
        ]

    def check(self, image_size: int) -> None:
        """Raise `BenchError` for scales that cannot be multiplied with, or come to the same.

        Parameters
        ----------
        image_size : int
            In pixels, at least 1.
        """
        told = "model.tta.scales=[" + ",".join(f"{scale:g}" for scale in self.scales) + "]"
        if not self.scales:
            raise BenchError(f"{told}: give at least one scale; [1.0] looks at each photo once")
        if not all(scale > 0 and math.isfinite(scale * image_size) for scale in self.scales):
            raise BenchError(f"{told}: a scale is a number above 0")
        sizes = self.sizes(image_size)
        twice = [size for size in sizes if sizes.count(size) > 1]
        if twice:
            raise BenchError(
                f"{told}: two scales come to the same {twice[0]} pixels, which would count twice"
            )
