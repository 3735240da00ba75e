"""What the named data sets have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from pathlib import Path
from typing import ClassVar

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.image_files import existing_folder
from outliers_bench.data.named.local_copy import place
from outliers_bench.data.named.metadata import About
from outliers_bench.data.source import CutSource, Grouping
from outliers_bench.data.split import Protocol
from outliers_bench.errors import BenchError
from outliers_bench.types import BoolArray, ImageSet, LeftOut, Split


class Parts(Enum):
    """Who has cut a data set that comes with a test part."""

    ours = "ours"
    """All images are cut by us."""
    official = "official"
    """Its training images are learned from, its test images cut into query and gallery."""


@dataclass
class NamedSet(CutSource):
    """A data set that is known by its name, and downloaded on first use.

    Parameters
    ----------
    root : str or None
        A folder where it lies already; nothing is downloaded then.
    url : str or None
        A mirror: a folder on the web that has the publisher's files under their names.
    verify : bool
        Whether what is downloaded must have the published sizes and digests. Without, a mirror may
        have an excerpt.
    """

    root: str | None = None
    url: str | None = None
    verify: bool = True

    about: ClassVar[About]

    def own_name(self) -> str:
        """See `DataSource.own_name`."""
        return self.about.name

    def address(self) -> str | None:
        """The mirror, or the publisher's page; see `DataSource.address`."""
        return None if self.root else self.url or self.about.source

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        if self.root is not None and self.url is not None:
            raise BenchError(
                f"data.root={self.root} and data.url={self.url}: the photos lie in a folder, or "
                "on a mirror; leave one out"
            )

    def place(self, cache: Path) -> Path:
        """The folder with its files; downloads and unpacks them if need be.

        Parameters
        ----------
        cache : Path
            Directory of what is kept between runs.

        Raises
        ------
        BenchError
            If they cannot be had; says what to do.
        """
        if self.root is not None:
            return existing_folder(self.root, "data.root")
        return place(self.about, cache, url=self.url, verify=self.verify)

    def within(self, place: Path, having: str, folders: Sequence[str]) -> Path:
        """The folder that has a certain file: a place itself, or one of some folders in it.

        Parameters
        ----------
        place : Path
            From `place`.
        having : str
            A file or folder.
        folders : sequence of str
            Where it may lie, too.

        Raises
        ------
        BenchError
            If it is in none of them.
        """
        for folder in ("", *folders):
            if (place / folder / having).exists():
                return place / folder
        raise self.other(place, f"there is no {having} in it")

    def other(self, place: Path, why: str) -> BenchError:
        """That a folder is not what it should be, and what to do about it."""
        if self.root is not None:
            return BenchError(
                f"data.root={self.root}: {why}; give a folder with what {self.about.name} is "
                f"unpacked ({self.about.source})"
            )
        return BenchError(
            f"data={self.about.name}: {place}: {why}; remove this folder to fetch it anew"
        )


@dataclass
class NamedSetWithTest(NamedSet):
    """A named data set that comes with training and test images.

    Parameters
    ----------
    parts : Parts
        Whether its own parts count. With `official`, `train` is of no account.
    """

    parts: Parts = Parts.ours

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        if self.parts is Parts.official and self.protocol is Protocol.leave_one_out:
            raise BenchError(
                "data.parts=official with data.protocol=leave_one_out: every image is a query "
                "against all others, so there are no parts; use data.parts=ours"
            )

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Collect the images and cut them, or only the test images; see `DataSource.load`."""
        if self.parts is Parts.ours:
            return super().load(seed=seed, cache=cache, group=group)
        self.check()
        images, test, left_out = self.collect_parts(cache)
        rows = range(len(images))
        asked = images.take([row for row in rows if test[row]])
        train = images.take([row for row in rows if not test[row]])
        (asked, train), copies = deduplicate([asked, train])
        only_test = replace(self, train=0.0)
        split = only_test.cut(asked, (*left_out, *copies), seed=seed, group=group)
        return replace(split, train=train)

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """See `CutSource.collect`."""
        images, _, left_out = self.collect_parts(cache)
        return images, left_out

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """All readable images, which of them are test images, and those that are none.

        Parameters
        ----------
        cache : Path
            See `load`.

        Returns
        -------
        images : ImageSet
        test : array of bool, shape (n,)
        left_out : sequence of LeftOut
        """
        raise NotImplementedError
