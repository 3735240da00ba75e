"""`data=imagenet`: the ILSVRC photos, in any of the layouts in which they are distributed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from outliers_bench.data.listing import list_images
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.data.named.source import NamedSetWithTest
from outliers_bench.data.table import Row
from outliers_bench.errors import BenchError
from outliers_bench.types import BoolArray, ImageSet, LeftOut

_LAYOUTS = ("", "ILSVRC/Data/CLS-LOC", "Data/CLS-LOC", "ILSVRC2012", "ILSVRC2014")
_TRAIN = ("train", "ILSVRC2012_img_train")
_VAL = ("val", "ILSVRC2012_img_val")
_LISTS = (  # folders that may contain lists of classes and labels
    *("", "ILSVRC", "data", "devkit/data", "ILSVRC/devkit/data", "val", "ILSVRC2012_img_val"),
    *(f"ILSVRC{kit}/data" for kit in ("2012_devkit_t12", "2014_devkit", "2015_devkit")),
)
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
        train, train_left_out = self._photos(root, _TRAIN)
        val, val_left_out = self._photos(root, _VAL)
        if not train and not val:
            raise self.unexpected_files(root, "there are neither train/<wnid>/ nor val/ in it")
        rows = [
            Row(name, f"{wnid} {words[wnid]}" if wnid in words else wnid)
            for name, wnid in (train | val).items()
        ]
        table = self.read_table(rows, root, cache, [*train_left_out, *val_left_out])
        images = table.images()
        return images, np.array([name in val for name in images.names], bool), table.left_out

    def _photos(self, root: Path, folders: Sequence[str]) -> tuple[dict[str, str], list[LeftOut]]:
        """Return name and wnid of the photos of a part."""
        paths = (f"{layout}/{folder}".lstrip("/") for layout in _LAYOUTS for folder in folders)
        part = next((path for path in paths if (root / path).is_dir()), None)
        if part is None:
            return {}, []
        names, left_out = list_images(root, part)
        wnids = {name: name.removeprefix(f"{part}/").partition("/")[0] for name in names}
        odd = next((name for name, wnid in wnids.items() if not _WNID.fullmatch(wnid)), None)
        if odd is None:
            return wnids, left_out
        if folders == _TRAIN:
            problem = f"{odd} is not in a folder named by a wnid, such as n02119789"
            raise self.unexpected_files(root, problem)
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
        return {name: truth[Path(name).stem] for name in names}, left_out


def read_class_words(root: Path) -> dict[str, str]:
    """Return the first word of each wnid; empty without a list of words.

    The list is `LOC_synset_mapping.txt` or `synset_words.txt` (wnid, words), or `map_clsloc.txt`
    (wnid, number, word).
    """
    for file in _find_files(root, "LOC_synset_mapping.txt", "synset_words.txt"):
        pairs = (line.split(maxsplit=1) for line in _read_lines(file))
        return {pair[0]: pair[1].split(",")[0].strip() for pair in pairs if len(pair) == 2}
    for file in _find_files(root, "map_clsloc.txt"):
        triples = (line.split() for line in _read_lines(file))
        return {triple[0]: triple[2].replace("_", " ") for triple in triples if len(triple) == 3}
    return {}


def read_val_wnids(root: Path) -> dict[str, str] | None:
    """Return the wnid of each validation photo, by name without extension; None without a list.

    The list is Kaggle's `LOC_val_solution.csv`, or a ground truth (one class number per line and
    photo) next to `meta.mat`, `meta_clsloc.mat`, or `map_clsloc.txt`, which define the numbers.

    Raises
    ------
    BenchError
        If a number is not that of a class.
    """
    for file in _find_files(root, "LOC_val_solution.csv"):  # ImageId,PredictionString
        rows = (line.partition(",") for line in _read_lines(file))
        return {photo: prediction.split(" ")[0] for photo, _, prediction in rows}
    for file in _find_files(root, "*_validation_ground_truth.txt"):
        wnids = dict(_read_class_numbers(file.parent))
        if not wnids:
            continue
        try:
            return {
                f"ILSVRC2012_val_{number:08d}": wnids[int(line)]
                for number, line in enumerate(_read_lines(file), start=1)
            }
        except (KeyError, ValueError) as error:
            raise BenchError(f"{file}: {error} is not the number of a class") from None
    return None


def _read_class_numbers(kit: Path) -> Iterator[tuple[int, str]]:
    """Yield number and wnid of each class, from the development kit in a folder."""
    for file in kit.glob("map_clsloc.txt"):
        for line in _read_lines(file):
            wnid, number, *_ = line.split()
            yield int(number), wnid
    # Not meta_det.mat and meta_vid.mat, which number the classes of the other tasks.
    for file in (*kit.glob("meta.mat"), *kit.glob("meta_clsloc.mat")):
        from scipy.io import loadmat

        entries: Any = loadmat(file, squeeze_me=True, struct_as_record=True)["synsets"]
        column = next(name for name in entries.dtype.names if name.endswith("_ID"))
        for entry in entries.ravel():
            yield int(entry[column]), str(entry["WNID"])


def _find_files(root: Path, *patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        for folder in _LISTS:
            yield from sorted((root / folder).glob(pattern))


def _read_lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if line.strip()]
