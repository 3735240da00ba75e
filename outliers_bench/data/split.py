"""Splitting labeled images into train, query, and gallery: seeded and by content."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

import numpy as np

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.data.splits.by_class import split_each_class, split_folds
from outliers_bench.data.splits.by_time import split_by_dates, split_days
from outliers_bench.data.splits.by_value import group_by, require_values, split_values
from outliers_bench.data.splits.classes import draw_classes
from outliers_bench.data.splits.describe import describe_split
from outliers_bench.data.splits.options import (
    DEFAULT_UNKNOWN,
    RANDOM,
    Protocol,
    Setting,
    SplitOptions,
)
from outliers_bench.data.splits.units import GALLERY, NO_PART, QUERY, TRAIN
from outliers_bench.errors import BenchError
from outliers_bench.types import (
    CROPPED_FROM,
    ENCOUNTER,
    GROUP,
    ITSELF,
    TIME,
    Excluded,
    ImageSet,
    IntArray,
    LeftOut,
    Split,
    same,
)


def make_split(
    images: ImageSet,
    options: SplitOptions,
    *,
    name: str,
    seed: int,
    left_out: Sequence[LeftOut] = (),
) -> Split:
    """Split one labeled set into train, query, and gallery.

    The part of an image depends on the seed and on the content of the images, so renaming or
    reordering files changes nothing. By default each class is split separately. A class of two or
    more images has at least one in query and one in gallery, and none in train if necessary. A
    class of one image goes to train, or to the gallery if there is no train. A group is treated
    like a single image of the class that most of its images have.

    Parameters
    ----------
    images : ImageSet
        Labeled images; exact duplicates are removed here.
    options : SplitOptions
        As checked by `SplitOptions.check_split`.
    name : str
        Name of the data set.
    seed : int
        Decides the order in which the images of a class are assigned.
    left_out : sequence of LeftOut
        Images of the source that are excluded already.

    Raises
    ------
    BenchError
        If there are fewer than two classes, no class can be split, the column that splits is
        missing, or a date leaves a part empty.
    """
    if images.labels is None:
        raise BenchError(f"{name}: images without labels cannot be split into query and gallery")
    total = len(images)
    (images,), duplicates = deduplicate([images])
    if duplicates and not len(images):
        first = duplicates[0]
        raise BenchError(
            f"{name}: all {total:,} images are excluded, {first.name} first: it {first.detail}"
        )
    left_out = (*left_out, *duplicates)
    check_classes(images, name=name)
    if options.protocol is Protocol.leave_one_out:
        excluded = leave_one_out_rule(images)
        return Split(name, images.take([]), images, images, excluded, left_out)

    if options.split_by != RANDOM:
        images, without = require_values(
            images, options.split_by, options.missing_values, name=name
        )
        left_out += tuple(without)
        check_classes(images, name=name)
    if options.split_by in (GROUP, ENCOUNTER):
        images = group_by(images, options.split_by)
    parts = _assign_parts(images, options, name=name, seed=seed)
    _check_parts(images, parts, options, name=name)
    reason = f"its part by {options.split_by} contradicts data.setting={options.setting.name}"
    left_out += tuple(
        LeftOut(images.names[row], "unselected", reason) for row in np.flatnonzero(parts == NO_PART)
    )
    train, query, gallery = (
        images.take(np.flatnonzero(parts == part).tolist()) for part in (TRAIN, QUERY, GALLERY)
    )
    described = describe_split(
        train,
        query,
        gallery,
        setting=options.setting.name,
        by="" if options.split_by == RANDOM else options.split_by,
        in_each_class=options.is_by_class,
    )
    return Split(name, train, query, gallery, left_out=left_out, parts_from=described)


def _assign_parts(images: ImageSet, options: SplitOptions, *, name: str, seed: int) -> IntArray:
    """Return the part of each image."""
    train, query = options.train, options.query
    if options.folds is not None and options.fold is not None:
        return split_folds(images, options.fold, folds=options.folds, train=train, seed=seed)
    chosen, part_of_chosen, train_of_others = np.zeros(len(images), np.bool_), QUERY, train
    option = f"data.setting={options.setting.name}"
    if options.setting is Setting.open_set:
        share = DEFAULT_UNKNOWN if options.unknown is None else options.unknown
        chosen = draw_classes(images, share, seed=seed, of_images=False, option=option, name=name)
    elif options.setting is Setting.disjoint_set:
        chosen = draw_classes(images, train, seed=seed, of_images=True, option=option, name=name)
        part_of_chosen, train_of_others = TRAIN, 0.0

    if options.is_by_class:
        parts = np.full(len(images), part_of_chosen, np.int64)
        others = np.flatnonzero(~chosen)
        of_others = images.take(others)
        if options.split_by == TIME:
            parts[others] = split_days(of_others, train=train_of_others, query=query)
        else:
            parts[others] = split_each_class(
                of_others, train=train_of_others, query=query, seed=seed
            )
        return parts
    if options.split_by == TIME:
        parts = split_by_dates(images, options.dates(), train=train, query=query)
    else:
        parts = split_values(
            images, options.split_by, train=train, query=query, seed=seed, name=name
        )
    # A date or a value decides the part: images that may not be in it are in none.
    parts[chosen & (parts != part_of_chosen)] = NO_PART
    if options.setting is Setting.disjoint_set:
        parts[~chosen & (parts == TRAIN)] = NO_PART
    return parts


def _check_parts(images: ImageSet, parts: IntArray, options: SplitOptions, *, name: str) -> None:
    """Raise `BenchError` if a part is empty that may not be, or nothing can be scored."""
    assert images.labels is not None  # noqa: S101 - checked by `make_split`
    if options.train_until is not None or options.gallery_until is not None:
        times = images.columns[TIME].astype("M8[s]")
        given = [
            f"data.{option}={value}"
            for option in ("train_until", "gallery_until")
            if (value := getattr(options, option)) is not None
        ]
        for part, title in ((TRAIN, "train"), (QUERY, "query"), (GALLERY, "gallery")):
            is_needed = part != TRAIN or options.train_until is not None
            if is_needed and not (parts == part).any():
                raise BenchError(
                    f"{name}: {' '.join(given)} leaves no images in {title}; they were taken from "
                    f"{times.min()} to {times.max()}"
                )
    labels = images.labels
    if not np.isin(labels[parts == QUERY], labels[parts == GALLERY]).any():
        if options.fold is not None:
            raise BenchError(
                f"{name}: data.folds={options.folds}: no query of fold {options.fold} has an image "
                "of its class in the gallery; give fewer folds"
            )
        of = {RANDOM: " in two groups", GROUP: " in two groups", ENCOUNTER: " in two encounters"}
        two = {TIME: " of two days"} | (of if images.groups is not None else {RANDOM: ""})
        raise BenchError(
            f"{name}: no class has two images"
            f"{two.get(options.split_by, f' of different values of {options.split_by}')}, "
            "one for query and one for gallery"
        )
    if (options.setting, options.split_by) != (Setting.closed_set, RANDOM):
        check_classes(images.take(np.flatnonzero(parts == GALLERY)), name=f"{name}, gallery")


def leave_one_out_rule(images: ImageSet) -> Excluded:
    """Return the rule by which an image does not find itself, its group, or its photo's crops."""
    rules = [same(column) for column in (GROUP, CROPPED_FROM) if column in images.columns]
    return reduce(or_, rules) if rules else ITSELF


def check_classes(images: ImageSet, *, name: str) -> None:
    """Raise `BenchError` if there are no images, or all are of one class."""
    present = np.unique([] if images.labels is None else images.labels).tolist()
    if len(present) == 0:
        raise BenchError(f"{name}: no images are left")
    if len(present) == 1:
        raise BenchError(
            f"{name}: all images are of one class, {images.classes[present[0]]!r}, so every result "
            "would be relevant; at least two classes are needed"
        )
