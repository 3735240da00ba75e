"""`data=imagenet`: the ILSVRC photos, in any of the layouts in which they are distributed."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from outliers_bench.data.image_files import list_images
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.data.named.source import NamedSetWithTest
from outliers_bench.data.named.synsets import read_class_words, read_val_wnids
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

    Training photos are in `train/<wnid>/`, validation photos in `val/<wnid>/`, or in `val/` next to
    the ground truth of a development kit or Kaggle's `LOC_val_solution.csv`.
    """

    info: ClassVar[DatasetInfo] = DatasetInfo(
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
                "data=imagenet needs data.root=<folder> with train/<wnid>/ and val/: it is "
                f"available after registration only, at {self.info.source} (ILSVRC2012), or at "
                "https://www.kaggle.com/c/imagenet-object-localization-challenge"
            )

    def collect_parts(self, cache: Path) -> tuple[ImageSet, BoolArray, Sequence[LeftOut]]:
        """See `NamedSetWithTest.collect_parts`."""
        root = self.files_dir(cache)
        words = read_class_words(root)
        train, train_left_out = self._train(root)
        val, val_left_out = self._val(root)
        if not train and not val:
            raise self.unexpected_files(root, "there are neither train/<wnid>/ nor val/ in it")
        rows = [
            Row(name, f"{wnid} {words[wnid]}" if wnid in words else wnid)
            for name, wnid in (train | val).items()
        ]
        table = read_table(
            rows,
            root=root,
            cache=cache,
            max_unreadable=self.max_unreadable,
            left_out=[*train_left_out, *val_left_out],
        )
        images = table.images()
        return images, np.array([name in val for name in images.names], bool), table.left_out

    def _train(self, root: Path) -> tuple[dict[str, str], list[LeftOut]]:
        """Return name and wnid of the training photos."""
        part = _part(root, _TRAIN)
        names, left_out = list_images(root, part) if part else ([], [])
        wnids = {name: name.removeprefix(f"{part}/").partition("/")[0] for name in names}
        odd = next((name for name, wnid in wnids.items() if not _WNID.fullmatch(wnid)), None)
        if odd is not None:
            problem = f"{odd} is not in a folder named by a wnid, such as n02119789"
            raise self.unexpected_files(root, problem)
        return wnids, left_out

    def _val(self, root: Path) -> tuple[dict[str, str], list[LeftOut]]:
        """Return name and wnid of the validation photos."""
        part = _part(root, _VAL)
        names, left_out = list_images(root, part) if part else ([], [])
        wnids = {name: name.removeprefix(f"{part}/").partition("/")[0] for name in names}
        if names and not all(_WNID.fullmatch(wnid) for wnid in wnids.values()):
            truth = read_val_wnids(root)
            if truth is None:
                raise self.unexpected_files(
                    root,
                    f"{part} has photos without class folders, and there is no ground truth "
                    "(*_validation_ground_truth.txt with meta.mat or map_clsloc.txt of the "
                    "development kit, or LOC_val_solution.csv)",
                )
            unknown = [name for name in names if Path(name).stem not in truth]
            if unknown:
                raise self.unexpected_files(root, f"the ground truth does not contain {unknown[0]}")
            wnids = {name: truth[Path(name).stem] for name in names}
        return wnids, left_out


def _part(root: Path, names: Sequence[str]) -> str:
    """Return the path of a part below the root; empty if there is none."""
    paths = (f"{inner}/{name}".lstrip("/") for inner in _INNER for name in names)
    return next((path for path in paths if (root / path).is_dir()), "")
