"""Named data sets that are a folder for each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from outliers_bench.data.image_files import list_images, unsupported_hint
from outliers_bench.data.named.source import NamedSet
from outliers_bench.data.table import Row, read_table
from outliers_bench.types import ImageSet, LeftOut


@dataclass
class NamedFolders(NamedSet):
    """Images in one folder for each class, whose name in lower case is the class."""

    inner: ClassVar[tuple[str, ...]] = ()
    """Where the class folders may lie below the place of the data set, innermost first."""

    def takes(self, label: str) -> bool:  # noqa: ARG002
        """Whether a class is one of the data set's."""
        return True

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Find the images; see `CutSource.collect`."""
        place = self.place(cache)
        root = next((place / inner for inner in self.inner if (place / inner).is_dir()), place)
        names, left_out = list_images(root)
        rows = [Row(name, _label(name)) for name in names if self._is_taken(name)]
        if len({row.label for row in rows}) < 2:
            raise self.other(
                root, f"there are no folders of its classes in it{unsupported_hint(left_out)}"
            )
        table = read_table(
            rows,
            root=root,
            cache=cache,
            max_unreadable=self.max_unreadable,
            left_out=[item for item in left_out if self._is_taken(item.name)],
        )
        return table.images(), table.left_out

    def _is_taken(self, name: str) -> bool:
        return "/" in name and self.takes(_label(name))


def _label(name: str) -> str:
    return name.partition("/")[0].lower()
