"""Splits: images to learn from, to query with, and to search."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.types.arrays import IntArray
from outliers_bench.types.exclusion import NOTHING, Excluded, Exclusion
from outliers_bench.types.images import ImageSet


@dataclass(frozen=True)
class LeftOut:
    """Image or other file of the source that is excluded from the split, and why."""

    name: str
    kind: LeftOutKind
    detail: str

    @property
    def is_image(self) -> bool:
        """False for a file that is no photo of the source."""
        return self.kind not in ("other", "system")

    @property
    def is_candidate(self) -> bool:
        """True for an image that would have been used if its content allowed it."""
        others = ("unsupported", "unlabeled", "missing_value", "unselected", "no_detection")
        return self.is_image and self.kind not in others


class Reason(NamedTuple):
    """Kind and detail of a `LeftOut`. Without a name: files of the same content have several."""

    kind: LeftOutKind
    detail: str


LeftOutKind = Literal[
    "unreadable",
    "unsupported",
    "duplicate",
    "conflicting_labels",
    "unlabeled",
    "missing_value",  # of the column that decides the part
    "unselected",  # by an option of the user, or by the folder it is in
    "other",  # no image
    "system",  # hidden, or a file or folder of an operating system
    "no_detection",  # a photo without a box, in the results of a detector
    "unusable_box",  # empty or outside of the photo
]


@dataclass(frozen=True, eq=False)
class Split:
    """Images to learn from, to query with, and to search.

    Parameters
    ----------
    name : str
        Name of the data set in MLflow and on the leaderboard.
    train, query, gallery : ImageSet
        An image may be in more than one of them; see `data.leakage`. `train` may be empty. Query
        and gallery may be the same object: every image is then a query.
    excluded : Excluded
        Rule by which gallery images are excluded for a query. Leave-one-out is `ITSELF`: an image
        is a query against all others.
    left_out : tuple of LeftOut
        Images of the source that are excluded, with the reason.
    also : ImageSet or None
        Excluded images that are embedded nevertheless: dropped duplicates, for the second score.
    validation : ImageSet or None
        Validation queries that were taken out of `query`; see `data.validation`.
    is_validation : bool
        Whether `query` are validation queries, on which methods are chosen.
    labels_from : str
        Where the source has found the labels, if the user may have meant another place.
    parts_from : str
        Classes, times or other values that decided the part of each image, if not chance alone.
    drawn : bool
        Whether the benchmark has assigned the images to the parts; False for a ready-made split.

    Raises
    ------
    BenchError
        If query or gallery is empty, an image is twice in a labeled part, or a column that
        excludes images is missing.
    ValueError
        If the parts have different readers, or `ITSELF` is excluded and a query is not in the
        gallery.
    """

    name: str
    train: ImageSet
    query: ImageSet
    gallery: ImageSet
    excluded: Excluded = NOTHING
    left_out: tuple[LeftOut, ...] = field(default=())
    also: ImageSet | None = None
    validation: ImageSet | None = None
    is_validation: bool = False
    labels_from: str = ""
    parts_from: str = ""
    drawn: bool = False

    def __post_init__(self) -> None:
        for part in ("query", "gallery"):
            if len(getattr(self, part)) == 0:
                raise BenchError(f"{self.name}: no images in {part}")
        if any(part.reader is not self.gallery.reader for part in (self.train, self.query)):
            raise ValueError(f"{self.name}: the parts of a split share one reader")
        if self.excluded.itself and self.positions is None:
            raise ValueError(f"{self.name}: a query that is to be excluded is not in the gallery")
        for part in ("train", "query", "gallery"):
            images: ImageSet = getattr(self, part)
            if images.labels is not None and len(set(images.digests)) < len(images):
                raise BenchError(f"{self.name}: the same image content is in {part} twice")
            for column in self.excluded.columns:
                if part != "train" and column not in images.columns:
                    raise BenchError(
                        f"{self.name}: images with the same {column} are to be excluded, and {part}"
                        f" has no column {column}; it has {', '.join(images.columns) or 'none'}"
                    )

    def __repr__(self) -> str:
        parts = f"{len(self.query):,} queries, {len(self.gallery):,} gallery images"
        learned = f", {len(self.train):,} train images" if len(self.train) else ""
        excluded = f", {len(self.left_out):,} excluded" if self.left_out else ""
        return f"<Split {self.name}: {parts}{learned}{excluded}>"

    @property
    def is_one_set(self) -> bool:
        """True if query i is gallery image i."""
        return self.query is self.gallery

    @cached_property
    def positions(self) -> IntArray | None:
        """Gallery image that each query is, shape (n_query,), found by content.

        None if a query is not in the gallery.
        """
        if self.is_one_set:
            return np.arange(len(self.gallery), dtype=np.int64)
        position_of = {digest: row for row, digest in enumerate(self.gallery.digests)}
        found = [position_of.get(digest, -1) for digest in self.query.digests]
        return None if -1 in found else np.array(found, dtype=np.int64)

    @cached_property
    def exclusion(self) -> Exclusion:
        """Gallery images that are excluded for each query."""
        rules = []
        if self.excluded.itself and self.positions is not None:
            rules.append(Exclusion.of_items(self.positions, len(self.gallery)))
        for column, and_label in self.excluded.values:
            query, gallery = self.query.columns[column], self.gallery.columns[column]
            rule = Exclusion.same_value(query, gallery, own=self.positions)
            if and_label and self.query.labels is not None and self.gallery.labels is not None:
                rule = rule.with_equal(self.query.labels, self.gallery.labels)
            rules.append(rule)
        return Exclusion.any_of(rules or [Exclusion.nothing(len(self.query), len(self.gallery))])

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
        """Digest (32 hex digits) of images, labels and exclusion, in any order of the images."""
        digest = hashlib.blake2b(digest_size=16)
        digest.update(b"leave_one_out" if self.excluded.itself else b"query_gallery")
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
        if self.is_validation:
            digest.update(b"\nvalidation queries\n")
        for column, and_label in self.excluded.values:
            label = " and label" if and_label else ""
            digest.update(f"\nsame {column}{label}, one set: {self.is_one_set}\n".encode())
            for part in (self.query, self.gallery):
                values = map(str, part.columns[column])
                for content, value in sorted(zip(part.digests, values, strict=True)):
                    digest.update(content + value.encode() + b"\0")
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
            query=gallery if self.is_one_set else self.query.without(dropped),
            gallery=gallery,
            left_out=(*self.left_out, *unreadable.values()),
            also=None if self.also is None else self.also.without(dropped),
            validation=None if self.validation is None else self.validation.without(dropped),
        )
