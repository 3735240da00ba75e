"""Base classes of the named data sets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import ClassVar

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.image_files import existing_folder
from outliers_bench.data.named.local_copy import ensure_downloaded
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.data.source import Grouping, LabeledSource
from outliers_bench.data.splits.options import Protocol
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import BoolArray, ImageSet, LeftOut, Split


class Parts(Enum):
    """Parts of a data set that comes with training and test images."""

    ours = "ours"
    """The benchmark splits all images."""
    official = "official"
    """The official training images are train; the test images are split into query and gallery."""


@dataclass
class NamedSet(LabeledSource):
    """A data set known by name, downloaded on first use.

    Parameters
    ----------
    root : str or None
        Folder that contains the data set already; nothing is downloaded then.
    url : str or None
        A mirror: a web folder with the publisher's files under their names.
    verify : bool
        Whether downloads must have the published sizes and digests. Use false for a mirror with an
        excerpt.
    """

    root: str | None = field(default=None, metadata=PLACE)
    url: str | None = field(default=None, metadata=PLACE)
    verify: bool = field(default=True, metadata=PLACE)

    info: ClassVar[DatasetInfo]

    def default_name(self) -> str:
        """See `DataSource.default_name`."""
        return self.info.name

    def source_url(self) -> str | None:
        """Return the mirror or the publisher's page; see `DataSource.source_url`."""
        return None if self.root else self.url or self.info.source

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        if self.root is not None and self.url is not None:
            raise BenchError(
                f"data.root={self.root} and data.url={self.url}: the photos are in a folder or "
                "on a mirror; omit one of them"
            )

    def files_dir(self, cache: Path) -> Path:
        """Return the folder with the files; download and unpack them if necessary."""
        if self.root is not None:
            return existing_folder(self.root, "data.root")
        return ensure_downloaded(replace(self.info, mirror=self.url, verify=self.verify), cache)

    def find_root(self, folder: Path, contained: str, subfolders: Sequence[str]) -> Path:
        """Return the folder that contains a file of a pattern: the given one or a subfolder."""
        for subfolder in ("", *subfolders):
            if any((folder / subfolder).glob(contained)):
                return folder / subfolder
        raise self.unexpected_files(folder, f"there is no {contained} in it")

    def unexpected_files(self, folder: Path, problem: str) -> BenchError:
        """Return an error about a folder with other contents, with advice."""
        if self.root is not None:
            return BenchError(
                f"data.root={self.root}: {problem}; give a folder with the unpacked files of "
                f"{self.info.name} ({self.info.source})"
            )
        return BenchError(
            f"data={self.info.name}: {folder}: {problem}; remove this folder to download it again"
        )


@dataclass
class NamedSetWithTest(NamedSet):
    """A named data set that comes with training and test images.

    Parameters
    ----------
    parts : Parts
        Parts to use: those of the benchmark or the official ones, with which `train` is ignored.
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
        if self.parts is Parts.official:
            self.refuse_options("data.parts=official has a train part", all_of_them=False)

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Collect the images and split them, or only the test images; see `DataSource.load`."""
        if self.parts is Parts.ours:
            return super().load(seed=seed, cache=cache, group=group)
        self.check()
        images, test, left_out = self.collect_parts(cache)
        rows = range(len(images))
        tests = images.take([row for row in rows if test[row]])
        train = images.take([row for row in rows if not test[row]])
        (tests, train), duplicates = deduplicate(self.add_groups([tests, train], cache))
        only_test = replace(self, train=0.0)
        split = only_test.make_split(tests, (*left_out, *duplicates), seed=seed, group=group)
        return replace(split, train=train)

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """See `LabeledSource.collect`."""
        images, _, left_out = self.collect_parts(cache)
        return images, left_out

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """Return all readable images, a mask of the test images, and the excluded images."""
        raise NotImplementedError
