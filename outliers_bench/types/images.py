"""Tables of images, checked when made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError
from outliers_bench.types.arrays import RGB, IntArray

GROUP = "group"  # column of images that stay together
TIME = "time"  # column of the times at which photos were taken, datetime64; NaT if unknown
CAMERA = "camera"  # column of the positions of cameras, text
SITE = "site"  # column of places, text
ENCOUNTER = "encounter"  # column of visits of an individual, text
CROPPED_FROM = "cropped_from"  # column of crops: their photo's digest, in hex digits


class ImageReader(Protocol):
    """Decoder of the images of an `ImageSet`."""

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one image.

        Parameters
        ----------
        name : str
            Name in the `ImageSet`.
        digest : bytes or None
            Content digest from when the set was made. A reader whose images can change refuses
            other content, which must not be stored under this digest.
        side : int or None
            Side length in pixels that is enough: a larger image may be decoded at a reduced size,
            never below this. None for full size.

        Returns
        -------
        array of uint8, shape (height, width, 3)
            RGB, upright (EXIF orientation applied).

        Raises
        ------
        UnreadableImageError
            If the image is missing, damaged, too large, or has changed.
        """
        ...


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Table of images: names, content digests, labels, and a reader that decodes them.

    Parameters
    ----------
    names : tuple of str
        Path relative to the source's root, or a generated name.
    digests : tuple of bytes
        Content digest of each image, 16 bytes; features are stored under it.
    labels : array of int64, shape (n,), or None
        Index into `classes`; None for unlabeled images.
    classes : tuple of str
        Class names, shared by all parts of a split.
    reader : ImageReader
        Decodes an image given its name. Must be safe to call from several threads.
    columns : mapping of str to array, shape (n, ...)
        Other values of each image, such as camera, time or box. Texts are `object`, an empty one
        is missing. Images with the same `group` (a burst, one visit of an individual) stay in one
        part of a split.

    Raises
    ------
    BenchError
        If the columns differ in length or a label has no class.
    TypeError
        If a column is not a NumPy array.
    """

    names: tuple[str, ...]
    digests: tuple[bytes, ...]
    labels: IntArray | None
    classes: tuple[str, ...]
    reader: ImageReader
    columns: Mapping[str, npt.NDArray[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n = len(self.names)
        for column, array in self.columns.items():
            if not isinstance(array, np.ndarray) or not array.ndim:
                raise TypeError(f"column {column} is a {type(array).__name__}, not an array")
        columns = {"digests": self.digests, "labels": self.labels, **self.columns}
        for column, values in columns.items():
            if values is not None and len(values) != n:
                raise BenchError(f"an image set has {n} names but {len(values)} {column}")
        if self.labels is not None and n:
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.classes):
                raise BenchError(f"labels {low}..{high} do not fit {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.names)

    @property
    def groups(self) -> tuple[str, ...] | None:
        """The column `group`; None if there is none."""
        return tuple(self.columns[GROUP].tolist()) if GROUP in self.columns else None

    def take(self, rows: Sequence[int] | IntArray) -> ImageSet:
        """Return the images at the given positions, in that order."""
        at = np.asarray(rows, dtype=np.int64)
        return replace(
            self,
            names=tuple(self.names[i] for i in rows),
            digests=tuple(self.digests[i] for i in rows),
            labels=None if self.labels is None else self.labels[at],
            columns={name: values[at] for name, values in self.columns.items()},
        )

    def without(self, digests: set[bytes]) -> ImageSet:
        """Return the images whose content is not among `digests`."""
        return self.take([i for i, digest in enumerate(self.digests) if digest not in digests])

    def read(self, row: int, *, side: int | None = None) -> RGB:
        """Decode the image at one position; see `ImageReader.read` for `side`."""
        return self.reader.read(self.names[row], self.digests[row], side=side)
