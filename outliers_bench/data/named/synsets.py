"""ImageNet's lists of class names and of the labels of the validation photos."""

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


def read_class_words(root: Path) -> dict[str, str]:
    """Return the first word of each wnid; empty without a list of words.

    Parameters
    ----------
    root : Path
        Folder that may contain, directly or in its development kit, `LOC_synset_mapping.txt` or
        `synset_words.txt` (wnid, words), or `map_clsloc.txt` (wnid, number, word).
    """
    for name in ("LOC_synset_mapping.txt", "synset_words.txt"):
        for file in _find_files(root, name):
            pairs = (line.split(maxsplit=1) for line in _read_lines(file))
            return {pair[0]: pair[1].split(",")[0].strip() for pair in pairs if len(pair) == 2}
    for file in _find_files(root, "map_clsloc.txt"):
        triples = (line.split() for line in _read_lines(file))
        return {triple[0]: triple[2].replace("_", " ") for triple in triples if len(triple) == 3}
    return {}


def read_val_wnids(root: Path) -> dict[str, str] | None:
    """Return the wnid of each validation photo, by name without extension; None without a list.

    Parameters
    ----------
    root : Path
        Folder that may contain, directly or in its development kit, Kaggle's
        `LOC_val_solution.csv`, or a ground truth (one class number per line and photo) next to
        `meta.mat`, `meta_clsloc.mat`, or `map_clsloc.txt`, which define the numbers.

    Raises
    ------
    BenchError
        If a list has an unexpected format.
    """
    import csv

    for file in _find_files(root, "LOC_val_solution.csv"):
        with file.open(newline="", encoding="utf-8") as table:
            rows = list(csv.DictReader(table))
        try:
            return {row["ImageId"]: row["PredictionString"].split()[0] for row in rows}
        except (KeyError, IndexError, AttributeError):
            raise BenchError(
                f"{file} needs the columns ImageId and PredictionString, which starts with a wnid"
            ) from None
    for file in _find_files(root, "*_validation_ground_truth.txt"):
        wnids = _read_class_numbers(file.parent)
        if wnids is None:
            continue
        try:
            return {
                _PHOTO.format(number): wnids[int(line)]
                for number, line in enumerate(_read_lines(file), start=1)
            }
        except (KeyError, ValueError) as error:
            raise BenchError(f"{file}: {error} is not the number of a class") from None
    return None


def _read_class_numbers(kit: Path) -> dict[int, str] | None:
    """Return the wnid of each class number from the development kit in a folder."""
    mapping = kit / "map_clsloc.txt"
    if mapping.exists():
        fields = (line.split() for line in _read_lines(mapping))
        return {int(row[1]): row[0] for row in fields}
    for name in ("meta.mat", "meta_clsloc.mat"):
        if (kit / name).exists():
            return dict(_read_synsets(kit / name))
    return None


def _read_synsets(file: Path) -> Iterator[tuple[int, str]]:
    from scipy.io import loadmat

    try:
        entries: Any = loadmat(file, squeeze_me=True, struct_as_record=True)["synsets"]
        number = next(name for name in entries.dtype.names if name.endswith("_ID"))
        for entry in entries.ravel():
            yield int(entry[number]), str(entry["WNID"])
    except (KeyError, ValueError, TypeError, StopIteration) as error:
        raise BenchError(f"{file} is not a list of ImageNet's classes ({error})") from None


def _find_files(root: Path, pattern: str) -> Iterator[Path]:
    for folder in _FOLDERS:
        if (root / folder).is_dir():
            yield from sorted((root / folder).glob(pattern))


def _read_lines(file: Path) -> list[str]:
    text = file.read_text(encoding="utf-8", errors="replace")
    return [line for line in text.splitlines() if line.strip()]
