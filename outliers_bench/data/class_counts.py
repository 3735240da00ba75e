"""Number of images of each class in the parts of a split."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from outliers_bench.data.table import PARTS
from outliers_bench.types import ImageSet, IntArray, Split


@dataclass(frozen=True)
class ClassCounts:
    """Number of images of each class that has any.

    Parameters
    ----------
    classes : tuple of str
        Names, sorted.
    parts : dict of str to array of int64, shape (n_classes,)
        Images in train, query and gallery; without parts that have no images or no labels.
    images : array of int64, shape (n_classes,)
        Images in all parts; at least 1.
    """

    classes: tuple[str, ...]
    parts: dict[str, IntArray]
    images: IntArray

    @property
    def singletons(self) -> list[str]:
        """Classes of one image."""
        return [self.classes[row] for row in np.flatnonzero(self.images == 1)]

    def metrics(self) -> dict[str, float]:
        """Return the counts by their names in MLflow; empty without labels."""
        if not self.classes:
            return {}
        return {
            "classes": len(self.classes),
            "classes_of_one_image": len(self.singletons),
            "images_per_class_min": int(self.images.min()),
            "images_per_class_median": float(np.median(self.images)),
            "images_per_class_max": int(self.images.max()),
        }


def count_classes(split: Split) -> ClassCounts:
    """Count the images of each class; a part without labels does not count."""
    names = split.gallery.classes
    parts: dict[str, IntArray] = {}
    for part in PARTS:
        images: ImageSet = getattr(split, part)
        if images.labels is not None and len(images):
            parts[part] = np.bincount(images.labels, minlength=len(names)).astype(np.int64)
    total = np.zeros(len(names), np.int64)
    in_gallery = split.is_one_set or set(split.query.digests) <= set(split.gallery.digests)
    for part, counts in parts.items():
        if not (in_gallery and part == "query"):
            total += counts
    present = np.flatnonzero(total)
    return ClassCounts(
        classes=tuple(names[row] for row in present),
        parts={part: counts[present] for part, counts in parts.items()},
        images=total[present],
    )
