"""Named data sets in class folders."""

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
    """Images in one folder per class; the folder name in lower case is the class."""

    inner: ClassVar[tuple[str, ...]] = ()
    """Folders of the data set that may contain the class folders, innermost first."""

    def includes_class(self, label: str) -> bool:  # noqa: ARG002
        """Check whether a class belongs to the data set."""
        return True

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Find the images; see `LabeledSource.collect`."""
        files = self.files_dir(cache)
        root = next((files / inner for inner in self.inner if (files / inner).is_dir()), files)
        names, left_out = list_images(root)
        rows = [Row(name, _label(name)) for name in names if self._is_included(name)]
        if len({row.label for row in rows}) < 2:
            raise self.unexpected_files(
                root, f"there are no folders of its classes in it{unsupported_hint(left_out)}"
            )
        table = read_table(
            rows,
            root=root,
            cache=cache,
            max_unreadable=self.max_unreadable,
            left_out=[item for item in left_out if self._is_included(item.name)],
        )
        return table.images(), table.left_out

    def _is_included(self, name: str) -> bool:
        return "/" in name and self.includes_class(_label(name))


def _label(name: str) -> str:
    return name.partition("/")[0].lower()
