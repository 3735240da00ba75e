"""Images, splits and rankings: the nouns that every room shares, checked when made."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt

from outliers_bench.errors import BenchError

FloatArray = npt.NDArray[np.float32]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
RGB = npt.NDArray[np.uint8]


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
    groups : tuple of str or None
        Images of one group (a burst, one visit of an individual) stay in one part of a split.

    Raises
    ------
    BenchError
        If the columns differ in length or a label has no class.
    """

    names: tuple[str, ...]
    digests: tuple[bytes, ...]
    labels: IntArray | None
    classes: tuple[str, ...]
    reader: ImageReader
    groups: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        n = len(self.names)
        columns = {"digests": self.digests, "labels": self.labels, "groups": self.groups}
        for column, values in columns.items():
            if values is not None and len(values) != n:
                raise BenchError(f"an image set has {n} names but {len(values)} {column}")
        if self.labels is not None and n:
            low, high = int(self.labels.min()), int(self.labels.max())
            if low < 0 or high >= len(self.classes):
                raise BenchError(f"labels {low}..{high} do not fit {len(self.classes)} classes")

    def __len__(self) -> int:
        return len(self.names)

    def take(self, rows: Sequence[int] | IntArray) -> ImageSet:
        """Return the images at the given positions, in that order."""
        return replace(
            self,
            names=tuple(self.names[i] for i in rows),
            digests=tuple(self.digests[i] for i in rows),
            labels=None if self.labels is None else self.labels[np.asarray(rows, dtype=np.int64)],
            groups=None if self.groups is None else tuple(self.groups[i] for i in rows),
        )

    def without(self, digests: set[bytes]) -> ImageSet:
        """Return the images whose content is not among `digests`."""
        return self.take([i for i, digest in enumerate(self.digests) if digest not in digests])

    def read(self, row: int, *, side: int | None = None) -> RGB:
        """Decode the image at one position; see `ImageReader.read` for `side`."""
        return self.reader.read(self.names[row], self.digests[row], side=side)


@dataclass(frozen=True)
class LeftOut:
    """Image of the source that is excluded from the split, and why."""

    name: str
    kind: LeftOutKind
    detail: str


LeftOutKind = Literal["unreadable", "unsupported", "duplicate", "conflicting_labels"]


@dataclass(frozen=True, eq=False)
class Split:
    """Images to learn from, to query with, and to search.

    Parameters
    ----------
    name : str
        Name of the data set in MLflow and on the leaderboard.
    train, query, gallery : ImageSet
        An image may be in more than one of them; see `data.leakage`. `train` may be empty. With
        `leave_one_out`, query and gallery are the same set, and a query's own image is excluded
        from its ranking.
    leave_one_out : bool
        Every image is a query against all others.
    left_out : tuple of LeftOut
        Images of the source that are excluded, with the reason.
    also : ImageSet or None
        Excluded images that are embedded nevertheless: dropped duplicates, for the second score.

    Raises
    ------
    BenchError
        If query or gallery is empty, or an image is twice in a labeled part.
    ValueError
        If the parts have different readers.
    """

    name: str
    train: ImageSet
    query: ImageSet
    gallery: ImageSet
    leave_one_out: bool = False
    left_out: tuple[LeftOut, ...] = field(default=())
    also: ImageSet | None = None

    def __post_init__(self) -> None:
        for part in ("query", "gallery"):
            if len(getattr(self, part)) == 0:
                raise BenchError(f"{self.name}: no images in {part}")
        if any(part.reader is not self.gallery.reader for part in (self.train, self.query)):
            raise ValueError(f"{self.name}: the parts of a split share one reader")
        for part in ("train", "query", "gallery"):
            images: ImageSet = getattr(self, part)
            if images.labels is not None and len(set(images.digests)) < len(images):
                raise BenchError(f"{self.name}: the same image content is in {part} twice")

    @property
    def labeled(self) -> bool:
        """Check whether a ranking can be scored."""
        return self.query.labels is not None and self.gallery.labels is not None

    @property
    def images(self) -> ImageSet:
        """Every image of the split and of `also` once, without labels."""
        also = () if self.also is None else (self.also,)
        return self._once(*also, self.train, self.gallery, self.query)

    @property
    def query_and_gallery(self) -> ImageSet:
        """Every image of query and gallery once, without labels."""
        return self._once(self.gallery, self.query)

    def _once(self, *parts: ImageSet) -> ImageSet:
        names = {
            digest: name
            for part in parts
            for digest, name in zip(part.digests, part.names, strict=True)
        }
        return ImageSet(
            tuple(names.values()), tuple(names), None, self.gallery.classes, self.gallery.reader
        )

    @cached_property
    def fingerprint(self) -> str:
        """Digest (32 hex digits) of the images and labels of each part, in any order."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(b"leave_one_out" if self.leave_one_out else b"query_gallery")
        for name in ("train", "query", "gallery"):
            part: ImageSet = getattr(self, name)
            labels = (
                [""] * len(part)
                if part.labels is None
                else [part.classes[label] for label in part.labels]
            )
            rows = sorted(zip(part.digests, labels, strict=True))
            digest.update(f"\n{name} {len(rows)}\n".encode())
            for content, label in rows:
                digest.update(content + label.encode() + b"\0")
        return digest.hexdigest()

    def without(self, unreadable: dict[bytes, LeftOut]) -> Split:
        """Return the split without these images, which are added to `left_out`."""
        if not unreadable:
            return self
        dropped = set(unreadable)
        gallery = self.gallery.without(dropped)
        return replace(
            self,
            train=self.train.without(dropped),
            query=gallery if self.leave_one_out else self.query.without(dropped),
            gallery=gallery,
            left_out=(*self.left_out, *unreadable.values()),
            also=None if self.also is None else self.also.without(dropped),
        )


@dataclass(frozen=True, eq=False)
class Ranking:
    """Gallery positions for each query, best first.

    Parameters
    ----------
    indices : array of int64, shape (n_query, depth)
        Positions in the gallery; no position twice in a row.
    scores : array of float32, shape (n_query, depth)
        Similarity, larger is better, never rising along a row.

    Raises
    ------
    ValueError
        If the shapes differ, a position is negative or twice in a row, or scores rise or are NaN.
    """

    indices: IntArray
    scores: FloatArray

    def __post_init__(self) -> None:
        if self.indices.shape != self.scores.shape or self.indices.ndim != 2:
            raise ValueError(f"indices {self.indices.shape} and scores {self.scores.shape} differ")
        if self.indices.size == 0:
            return
        if self.indices.min() < 0:
            raise ValueError("a ranking holds gallery positions only, never -1")
        if np.isnan(self.scores).any() or (np.diff(self.scores, axis=1) > 0).any():
            raise ValueError("scores must fall from left to right")
        ordered = np.sort(self.indices, axis=1)
        if (ordered[:, 1:] == ordered[:, :-1]).any():
            raise ValueError("a gallery position is twice in one row")

    @property
    def depth(self) -> int:
        """Number of gallery images ranked for each query."""
        return int(self.indices.shape[1])
