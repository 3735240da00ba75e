"""The nouns of a benchmark: what is ranked, how it is cut, what comes out. Checked when made."""

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
    """Where the pixels of an `ImageSet` come from."""

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one image.

        Parameters
        ----------
        name : str
            One of the `ImageSet`'s names.
        digest : bytes or None
            What its content had as digest when the set was made. A reader whose images can change
            refuses another content, which must not be stored under this digest.
        side : int or None
            Pixels that are enough for its sides, so that a reader may decode a larger image at a
            reduced size, but never below this. None for the image as it is.

        Returns
        -------
        array of uint8, shape (height, width, 3)
            RGB, upright (EXIF orientation applied).

        Raises
        ------
        UnreadableImageError
            If the image is missing, damaged, too large, or not what it was.
        """
        ...


@dataclass(frozen=True, eq=False)
class ImageSet:
    """A table of images: what each is called, what is in it, what it shows, how to decode it.

    Parameters
    ----------
    names : tuple of str
        What the user calls each image: a path relative to the source's root, or a generated name.
    digests : tuple of bytes
        Content digest of each image, 16 bytes. Features are stored under it.
    labels : array of int64, shape (n,), or None
        Index into `classes`; None for a set without labels.
    classes : tuple of str
        Class names, shared by all parts of a split.
    reader : ImageReader
        Decodes an image given its name. Must be safe to call from several threads.
    groups : tuple of str or None
        Images of one group (a burst, one individual's visit) never stand in different parts.

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
        """The images at the given positions, in that order."""
        return replace(
            self,
            names=tuple(self.names[i] for i in rows),
            digests=tuple(self.digests[i] for i in rows),
            labels=None if self.labels is None else self.labels[np.asarray(rows, dtype=np.int64)],
            groups=None if self.groups is None else tuple(self.groups[i] for i in rows),
        )

    def without(self, digests: set[bytes]) -> ImageSet:
        """The images whose content is not among `digests`."""
        return self.take([i for i, digest in enumerate(self.digests) if digest not in digests])

    def read(self, row: int, *, side: int | None = None) -> RGB:
        """Decode the image at one position; see `ImageReader.read` for `side`."""
        return self.reader.read(self.names[row], self.digests[row], side=side)


@dataclass(frozen=True)
class LeftOut:
    """An image that is in the source but in no part of the split, and why."""

    name: str
    kind: LeftOutKind
    detail: str


LeftOutKind = Literal["unreadable", "unsupported", "duplicate", "conflicting_labels"]


@dataclass(frozen=True, eq=False)
class Split:
    """What methods may learn from, what is asked, and what is searched.

    Parameters
    ----------
    name : str
        The data set's name, as it stands in MLflow and the leaderboard.
    train, query, gallery : ImageSet
        A content may stand in more than one of them; see `data.leakage`. `train` may be empty.
        With `leave_one_out`, query and gallery are the same set, and a query's own image is left
        out of its ranking.
    leave_one_out : bool
        Whether every image is a query against all others.
    left_out : tuple of LeftOut
        Images of the source that stand in no part, with the reason.
    also : ImageSet or None
        Those of them that are embedded all the same: copies that were dropped, for the score
        beside.

    Raises
    ------
    BenchError
        If query or gallery is empty, or a content stands twice in the labeled part of a split.
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
                raise BenchError(f"{self.name}: the same image content stands twice in {part}")

    @property
    def labeled(self) -> bool:
        """Whether a ranking can be scored."""
        return self.query.labels is not None and self.gallery.labels is not None

    @property
    def images(self) -> ImageSet:
        """Every image of the split once, and those of `also`, without labels."""
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
        """Digest (32 hex digits) of what stands in which part under which label, in any order."""
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
        """The split without the images of the given contents, which join `left_out`."""
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
    """For each query, gallery positions, best first.

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
            raise ValueError("a gallery position stands twice in one row")

    @property
    def depth(self) -> int:
        """How many gallery items are ranked for each query."""
        return int(self.indices.shape[1])
