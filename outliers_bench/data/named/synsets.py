"""ImageNet's lists: what its classes are called, and of which class its validation photos are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError

_FOLDERS = (
    *("", "ILSVRC", "data", "devkit/data", "ILSVRC/devkit/data", "val", "ILSVRC2012_img_val"),
    *(f"ILSVRC{kit}/data" for kit in ("2012_devkit_t12", "2014_devkit", "2015_devkit")),
)
_PHOTO = "ILSVRC2012_val_{:08d}"


def words_of(root: Path) -> dict[str, str]:
    """The first word for each wnid, as far as a list of them lies there.

    Parameters
    ----------
    root : Path
        `LOC_synset_mapping.txt` or `synset_words.txt` (wnid, words) or `map_clsloc.txt` (wnid,
        number, word) in it, or in its development kit.
    """
    for name in ("LOC_synset_mapping.txt", "synset_words.txt"):
        for file in _found(root, name):
            pairs = (line.split(maxsplit=1) for line in _lines(file))
            return {pair[0]: pair[1].split(",")[0].strip() for pair in pairs if len(pair) == 2}
    for file in _found(root, "map_clsloc.txt"):
        triples = (line.split() for line in _lines(file))
        return {found[0]: found[2].replace("_", " ") for found in triples if len(found) == 3}
    return {}


def wnids_of_val(root: Path) -> dict[str, str] | None:
    """The wnid of each validation photo, by its name without extension; None where no list is.

    Parameters
    ----------
    root : Path
        Kaggle's `LOC_val_solution.csv`, or a ground truth (the class number of each photo, a line
        each) beside `meta.mat`, `meta_clsloc.mat` or `map_clsloc.txt`, which say what the numbers
        mean; in it or in its development kit.

    Raises
    ------
    BenchError
        If a list is not what it should be.
    """
    import csv

    for file in _found(root, "LOC_val_solution.csv"):
        with file.open(newline="", encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        try:
            return {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}
        except (KeyError, IndexError, AttributeError):
            raise BenchError(
                f"{file} needs the columns ImageId and PredictionString, wnid first"
            ) from None
    for file in _found(root, "*_validation_ground_truth.txt"):
        wnids = _numbered(file.parent)
        if wnids is None:
            continue
        try:
            return {
                _PHOTO.format(place): wnids[int(line)]
                for place, line in enumerate(_lines(file), start=1)
            }
        except (KeyError, ValueError) as error:
            raise BenchError(f"{file}: {error} is the number of no class") from None
    return None


def _numbered(kit: Path) -> dict[int, str] | None:
    """The wnid of each class number, as the development kit in a folder says."""
    mapping = kit / "map_clsloc.txt"
    if mapping.exists():
        fields = (line.split() for line in _lines(mapping))
        return {int(found[1]): found[0] for found in fields}
    for name in ("meta.mat", "meta_clsloc.mat"):
        if (kit / name).exists():
            return dict(_synsets(kit / name))
    return None


def _synsets(file: Path) -> Iterator[tuple[int, str]]:
    from scipy.io import loadmat

    try:
        entries: Any = loadmat(file, squeeze_me=True, struct_as_record=True)["synsets"]
        number = next(name for name in entries.dtype.names if name.endswith("_ID"))
        for entry in entries.ravel():
            yield int(entry[number]), str(entry["WNID"])
    except (KeyError, ValueError, TypeError, StopIteration) as error:
        raise BenchError(f"{file} is no list of ImageNet's classes ({error})") from None


def _found(root: Path, pattern: str) -> Iterator[Path]:
    for folder in _FOLDERS:
        if (root / folder).is_dir():
            yield from sorted((root / folder).glob(pattern))


def _lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if line.strip()]
