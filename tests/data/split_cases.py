"""Labeled images with columns, and their splits, for tests."""

from __future__ import annotations

import numpy as np

from outliers_bench.data.split import make_split
from outliers_bench.data.splits.options import SplitOptions
from outliers_bench.types import ImageSet
from tests.toys import ArrayReader, digest

PARTS = ("train", "query", "gallery")


def images_of(labels, **columns):
    """Return images with the numbers of their rows as names."""
    rows = range(len(labels))
    arrays = {
        name: np.array(values, "M8[s]" if name == "time" else np.object_)
        for name, values in columns.items()
    }
    return ImageSet(
        names=tuple(map(str, rows)),
        digests=tuple(digest(f"content {row}") for row in rows),
        labels=np.array(labels, dtype=np.int64),
        classes=tuple(f"class_{label}" for label in range(max(labels) + 1)),
        reader=ArrayReader({}),
        columns=arrays,
    )


def split_images(images, *, seed=0, **options):
    """Check the options, split, and check that every image is in one part or excluded."""
    checked = SplitOptions(**options)
    checked.check_split()
    split = make_split(images, checked, name="toy", seed=seed)
    names = [name for part in PARTS for name in getattr(split, part).names]
    assert sorted([*names, *(item.name for item in split.left_out)]) == sorted(images.names)
    return split


def rows_of(split):
    """Return the numbers of the images of each part: train, query, gallery."""
    return tuple(sorted(map(int, getattr(split, part).names)) for part in PARTS)


def values_of(split, column):
    """Return the values of a column in each part."""
    return [set(getattr(split, part).columns[column].tolist()) for part in PARTS]


def labels_of(split):
    """Return the labels in each part."""
    return [set(getattr(split, part).labels.tolist()) for part in PARTS]
