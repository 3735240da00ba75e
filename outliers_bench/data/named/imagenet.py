"""`data=imagenet`: the ILSVRC photos as they are handed out, in whatever folders."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from outliers_bench.data.image_files import list_images
from outliers_bench.data.named.metadata import About
from outliers_bench.data.named.source import NamedSetWithTest
from outliers_bench.data.named.synsets import wnids_of_val, words_of
from outliers_bench.data.table import Row, read_table
from outliers_bench.errors import BenchError
from outliers_bench.types import BoolArray, ImageSet, LeftOut

_INNER = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "ILSVRC2012", "ILSVRC2014")
_TRAIN = ("train", "ILSVRC2012_img_train")
_VAL = ("val", "ILSVRC2012_img_val")
_WNID = re.compile(r"n\d{8}")


@dataclass
class ImageNet(NamedSetWithTest):
    """ImageNet's 1,000 classes (ILSVRC 2012 to 2017), from a folder.

    Training photos lie in `train/<wnid>/`, validation photos in `val/<wnid>/`, or in `val/` with
    the ground truth of a development kit, or Kaggle's `LOC_val_solution.csv`, beside them.
    """

    about: ClassVar[About] = About(
        name="imagenet",
        images=1_331_167,
        classes=1000,
        license="non-commercial research, after registration",
        source="https://image-net.org/download-images",
        citation="O. Russakovsky et al.: ImageNet Large Scale Visual Recognition Challenge. "
        "IJCV 115, 2015",
    )

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        if self.url is not None:
            raise BenchError("data.url: data=imagenet is not downloaded; give data.root=<folder>")
        if self.root is None:
            raise BenchError(
                "data=imagenet needs data.root=<folder> with train/<wnid>/ and val/: it is handed "
                f"out after registration only, at {self.about.source} (ILSVRC2012), or at "
                "https://www.kaggle.com/c/imagenet-object-localization-challenge"
            )

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """See `NamedSetWithTest.collect_parts`."""
        root = self.place(cache)
        words = words_of(root)
        train, left_out = self._train(root)
        val, lost = self._val(root)
        if not train and not val:
            raise self.other(root, "there are neither train/<wnid>/ nor val/ in it")
        rows = [
            Row(name, f"{wnid} {words[wnid]}" if wnid in words else wnid)
            for name, wnid in (train | val).items()
        ]
        table = read_table(
            rows,
            root=root,
            cache=cache,
            max_unreadable=self.max_unreadable,
            left_out=[*left_out, *lost],
        )
        images = table.images()
        return images, np.array([name in val for name in images.names], bool), table.left_out

    def _train(self, root: Path) -> tuple[dict[str, str], list[LeftOut]]:
        """Name and wnid of the training photos."""
        part = _part(root, _TRAIN)
        names, left_out = list_images(root, part) if part else ([], [])
        found = {name: name.removeprefix(f"{part}/").partition("/")[0] for name in names}
        odd = next((name for name, wnid in found.items() if not _WNID.fullmatch(wnid)), None)
        if odd is not None:
            raise self.other(root, f"{odd} lies in no folder called after a wnid, like n02119789")
        return found, left_out

    def _val(self, root: Path) -> tuple[dict[str, str], list[LeftOut]]:
        """Name and wnid of the validation photos."""
        part = _part(root, _VAL)
        names, left_out = list_images(root, part) if part else ([], [])
        found = {name: name.removeprefix(f"{part}/").partition("/")[0] for name in names}
        if names and not all(_WNID.fullmatch(wnid) for wnid in found.values()):
            truth = wnids_of_val(root)
            if truth is None:
                raise self.other(
                    root,
                    f"{part} has photos without class folders, and there is no ground truth "
                    "(*_validation_ground_truth.txt with meta.mat or map_clsloc.txt of the "
                    "development kit, or LOC_val_solution.csv)",
                )
            unknown = [name for name in names if Path(name).stem not in truth]
            if unknown:
                raise self.other(root, f"the ground truth does not name {unknown[0]}")
            found = {name: truth[Path(name).stem] for name in names}
        return found, left_out


def _part(root: Path, names: Sequence[str]) -> str:
    """Where a part lies below the root; empty where it is not there."""
    places = (f"{inner}/{name}".lstrip("/") for inner in _INNER for name in names)
    return next((place for place in places if (root / place).is_dir()), "")
