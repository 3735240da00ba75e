"""Keypoints of an image, their format in the feature store, and their descriptors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from outliers_bench.types import FloatArray, IntArray

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Keypoints:
    """Positions and descriptors of an image's keypoints, of which there may be none.

    Parameters
    ----------
    points : array of float32, shape (n, 2)
        x and y in pixels of the image after shrinking.
    descriptors : array of uint8, shape (n, bytes)
        Descriptors as in OpenCV: SIFT 128 numbers up to 255, ORB 32 bytes of bits, AKAZE 61.

    Raises
    ------
    ValueError
        If the arrays differ in length.
    """

    points: FloatArray
    descriptors: Bytes

    def __post_init__(self) -> None:
        if self.points.shape != (len(self.descriptors), 2):
            raise ValueError(f"{self.points.shape} points, {self.descriptors.shape} descriptors")

    def __len__(self) -> int:
        return len(self.points)

    def pack(self) -> Bytes:
        """Pack points, then descriptors, into one row of bytes."""
        points = np.ascontiguousarray(self.points, dtype="<f4").view(np.uint8)
        return np.concatenate([points.ravel(), self.descriptors.ravel()])

    @classmethod
    def unpack(cls, packed: Bytes, width: int) -> Keypoints:
        """Unpack the bytes that `pack` returns, given the number of bytes per descriptor."""
        n, remainder = divmod(packed.size, 8 + width)
        if remainder:
            raise ValueError(f"{packed.size} bytes are not keypoints of {8 + width} bytes each")
        points = packed[: 8 * n].view("<f4").reshape(n, 2)
        return cls(points, packed[8 * n :].reshape(n, width))


@dataclass(frozen=True)
class Descriptor:
    """Type of descriptor: its size in the store, and its conversion to unit vectors.

    With unit vectors a and b, similarity s = a . b is in [-1, 1] and 1 - s increases with the
    distance: 1 - s is half the squared Euclidean distance of SIFT descriptors, and twice the share
    of different bits of binary ones. So matrix products compare all types.

    Parameters
    ----------
    name : str
        sift, rootsift, orb or akaze.
    nbytes : int
        Bytes per descriptor in the store.
    bits : int
        Number of bits of a binary descriptor, 0 for others.
    """

    name: str
    nbytes: int
    bits: int = 0

    @property
    def dimensions(self) -> int:
        """Length of the unit vectors."""
        return self.bits or self.nbytes

    @property
    def power(self) -> int:
        """Power of the distance that 1 - s is proportional to; also applied to Lowe's ratio."""
        return 1 if self.bits else 2

    def vectors(self, descriptors: Bytes) -> FloatArray:
        """Convert descriptors, shape (n, nbytes), to unit vectors, shape (n, dimensions).

        RootSIFT is the square root of the L1-normalized descriptor (Arandjelović and Zisserman,
        "Three things everyone should know to improve object retrieval", CVPR 2012).
        """
        if self.bits:
            bits = np.unpackbits(descriptors, axis=1, count=self.bits).astype(np.float32)
            signs: FloatArray = (2 * bits - 1) / np.float32(np.sqrt(self.bits))
            return signs
        values = descriptors.astype(np.float32)
        if self.name == "rootsift":
            total = values.sum(axis=1, keepdims=True)
            root: FloatArray = np.sqrt(values / np.maximum(total, 1))
            return root
        length = np.sqrt(np.square(values).sum(axis=1, keepdims=True))
        return np.asarray(values / np.maximum(length, 1), dtype=np.float32)


DESCRIPTORS = {
    descriptor.name: descriptor
    for descriptor in (
        Descriptor("rootsift", 128),
        Descriptor("sift", 128),
        Descriptor("orb", 32, bits=256),
        Descriptor("akaze", 61, bits=486),
    )
}


class KeypointTable(Protocol):
    """Keypoints of many images, read on demand."""

    def __len__(self) -> int: ...

    def take(self, rows: Sequence[int] | IntArray) -> list[Keypoints]:
        """Return the keypoints of the images at the given positions, in that order."""
        ...


@dataclass(frozen=True, eq=False)
class TableRows:
    """Keypoints of some images of a table, shape (m,)."""

    table: KeypointTable
    rows: IntArray

    def __len__(self) -> int:
        return len(self.rows)

    def take(self, rows: Sequence[int] | IntArray) -> list[Keypoints]:
        """Return the keypoints of the images at the given positions; see `KeypointTable.take`."""
        return self.table.take(self.rows[list(rows)])
