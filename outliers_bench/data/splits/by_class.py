"""Random splits: each class by itself, as groups or single images, in a seeded order."""

from __future__ import annotations

import numpy as np

from outliers_bench.data.splits.units import (
    GALLERY,
    NO_PART,
    QUERY,
    TRAIN,
    assign_units,
    count_for_share,
    units_by_class,
)
from outliers_bench.types import ImageSet, IntArray


def split_each_class(images: ImageSet, *, train: float, query: float, seed: int) -> IntArray:
    """Split each class at random.

    Parameters
    ----------
    images : ImageSet
        Labeled images.
    train, query : float
        Shares of each class; see `split.SplitOptions`.
    seed : int

    Returns
    -------
    array of int64, shape (n,)
        Part of each image.
    """
    parts = np.full(len(images), NO_PART, np.int64)
    for units in units_by_class(images, seed).values():
        for part, chosen in assign_units(units, train=train, query=query):
            parts[[row for unit in chosen for row in unit]] = part
    return parts


def split_folds(images: ImageSet, fold: int, *, folds: int, train: float, seed: int) -> IntArray:
    """Split each class at random into folds, of which one is the queries.

    Parameters
    ----------
    images : ImageSet
        Labeled images.
    fold, folds : int
        Fold of the queries, from 0, and number of folds.
    train : float
        Share of the other images of each class that is train; the rest is the gallery.
    seed : int

    Returns
    -------
    array of int64, shape (n,)
        Part of each image. Over all folds every image is a query once.
    """
    parts = np.full(len(images), NO_PART, np.int64)
    number = 0  # runs on from class to class, so that folds of small classes are as large
    for units in units_by_class(images, seed).values():
        others = []
        for unit in units:
            if number % folds == fold:
                parts[unit] = QUERY
            else:
                others.append(unit)
            number += 1
        # A class with queries has a gallery first, as in a split without folds.
        most = len(others) - 1 if len(units) > 1 else len(others)
        sizes = [len(unit) for unit in others]
        to_train = count_for_share(sizes, train, least=0, most=most) if others else 0
        if len(units) == 1 and train > 0:
            to_train = len(others)
        for at, unit in enumerate(others):
            parts[unit] = TRAIN if at < to_train else GALLERY
    return parts


def hold_out(images: ImageSet, share: float, *, seed: int) -> tuple[IntArray, IntArray]:
    """Split labeled images into a training set and a held-out set.

    Each class is split separately and retains at least one image, or group, for training; the
    choice depends on the seed and on the content of the images.

    Parameters
    ----------
    images : ImageSet
        Labeled images.
    share : float
        Share of each class to hold out, in [0, 1). If every class is too small for that, one image
        or group of the largest class is held out.
    seed : int
        Decides which images are held out.

    Returns
    -------
    array of int64, shape (n_train,), array of int64, shape (n_held_out,)
        Ascending rows. Nothing is held out if no class has two images.
    """
    units_of_classes = list(units_by_class(images, seed).values())
    counts = [
        count_for_share([len(unit) for unit in units], share, least=0, most=len(units) - 1)
        for units in units_of_classes
    ]
    if share > 0 and not any(counts):
        largest = max(range(len(counts)), key=lambda at: len(units_of_classes[at]))
        counts[largest] = min(1, len(units_of_classes[largest]) - 1)
    held_out = {
        row
        for units, count in zip(units_of_classes, counts, strict=True)
        for unit in units[:count]
        for row in unit
    }
    training = [row for row in range(len(images)) if row not in held_out]
    return np.array(training, np.int64), np.array(sorted(held_out), np.int64)
