"""Splits with leakage, for tests."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np

from outliers_bench.config.schema import Cache, Config
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.split import make_split
from outliers_bench.data.splits.options import SplitOptions
from outliers_bench.leakage.find import find_leaks
from outliers_bench.models.pixels import Pixels
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.types import ImageSet, Split
from tests.duplicates.synthetic_photos import (
    brighten,
    crop_sides,
    make_image_set,
    make_photo,
    rescale,
)
from tests.toys import ArrayReader

A, B, C, D = (make_photo(seed) for seed in (11, 12, 13, 14))
CLASSES = ("a", "b", "c")


def near(image):
    return brighten(rescale(crop_sides(image, 0.04), 0.8), 0.95, 6)


def part(reader, arrays, labels):
    reader.arrays |= arrays
    images = make_image_set(arrays, labels)
    return replace(images, classes=CLASSES, reader=reader)


def split_of(*, train=None, query=None, gallery=None, labeled=True):
    """Return a split of named arrays; the first letter of a name is the label."""
    reader = ArrayReader({})
    parts = []
    for name, named_arrays in (("train", train), ("query", query), ("gallery", gallery)):
        arrays = named_arrays or {}
        labels = [CLASSES.index(key[0]) for key in arrays]
        parts.append(part(reader, arrays, labels if labeled or name == "train" else None))
    return Split("toy", *parts)


def split_with_leakage():
    """Return a split with one exact duplicate across parts and two near duplicates."""
    return split_of(
        train={"b train": near(B), "c train": make_photo(21)},
        query={"a query": A, "b query": B},
        gallery={"a duplicate": A, "a other": C, "b other": D, "c other": near(make_photo(21))},
    )


def find_named_pairs(split, cache):
    leaks = find_leaks(split, cache=cache)
    names = leaks.images.names
    return leaks, [(names[p.first], names[p.second], p.kind) for p in leaks.pairs]


def images_with_near_duplicates(seed=0):
    """Return four photos of each of two classes, and a near duplicate of each photo."""
    arrays = {}
    for label in "ab":
        for number in range(4):
            one = make_photo(50 * (label == "b") + number + 1)
            arrays |= {f"{label} {number}": one, f"{label} {number} near": near(one)}
    names = list(arrays)
    np.random.default_rng(seed).shuffle(names)
    return make_image_set(
        {name: arrays[name] for name in names}, [CLASSES.index(name[0]) for name in names]
    )


def split_randomly(images, seed):
    return make_split(images, SplitOptions(train=0.5), name="toy", seed=seed)


def write(root: Path, images: ImageSet, names=None) -> Path:
    for row, name in enumerate(names or images.names):
        file = root / name.split()[0] / f"{name.replace(' ', '_')}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), images.read(row)[..., ::-1])
    return root


def parse_leakage(out):
    """Parse counts and scores of the leakage, such as `hit@1 0.5, without them 0.25`."""
    text = " ".join(out.split())
    match = re.search(
        r"(\d+) pairs? of duplicates across parts \((.*?)\): hit@1 (\S+), (with\S*) them (\S+)",
        text,
    )
    return match.groups() if match else None


def config_of(root, cache):
    pixels = Pixels("pixels", 8)
    data = PreparedFolders(root=str(root))
    return Config(data=data, model=pixels, index=Exact("exact"), cache=Cache(str(cache)), k=[1, 3])


def names_of(leaks):
    for pair in leaks.pairs:
        yield leaks.images.names[pair.first], leaks.images.names[pair.second]


def copy_file(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
