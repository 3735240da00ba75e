"""Number of images of each class."""

from dataclasses import replace

import numpy as np

from outliers_bench.data.class_counts import count_classes
from outliers_bench.types import ITSELF, Split
from tests.toys import ArrayReader, image_set, toy_split

READER = ArrayReader({})


def labeled(labels, classes, *, salt=""):
    return image_set([f"{salt}{i}" for i in range(len(labels))], labels, classes, READER)


def test_counts_by_part_and_in_all():
    classes = ("ant", "bee", "cat", "dog")
    train = labeled([0, 0, 0, 3], classes, salt="t")
    split = Split("zoo", train, labeled([0, 2], classes, salt="q"), labeled([0, 0, 2], classes))
    counts = count_classes(split)
    assert counts.classes == ("ant", "cat", "dog"), "no bee has an image"
    assert {part: n.tolist() for part, n in counts.parts.items()} == {
        "train": [3, 0, 1],
        "query": [1, 1, 0],
        "gallery": [2, 1, 0],
    }
    assert counts.images.tolist() == [6, 2, 1]
    assert counts.singletons == ["dog"]
    assert counts.metrics() == {
        "classes": 3,
        "classes_of_one_image": 1,
        "images_per_class_min": 1,
        "images_per_class_median": 2.0,
        "images_per_class_max": 6,
    }


def test_one_set_is_counted_once():
    images = labeled([0, 0, 1], ("ant", "bee"))
    split = Split("zoo", images.take([]), images, images, excluded=ITSELF)
    assert count_classes(split).images.tolist() == [2, 1]


def test_parts_without_labels_do_not_count():
    split = toy_split([0, 1], [0, 1])
    split = replace(
        split, query=replace(split.query, labels=None), gallery=replace(split.gallery, labels=None)
    )
    assert count_classes(split).metrics() == {}
    train = image_set(["t0", "t1"], [3, 3], split.gallery.classes, split.gallery.reader)
    counts = count_classes(replace(split, train=train))
    assert (counts.classes, counts.images.tolist()) == (("class-3",), [2])


def test_the_counts_add_up():
    labels = np.random.default_rng(0).integers(0, 50, 700)
    classes = tuple(f"class {n:02}" for n in range(50))
    parts = [
        labeled(labels[rows], classes, salt=str(rows))
        for rows in (slice(300), slice(300, 400), slice(400, 700))
    ]
    counts = count_classes(Split("zoo", *parts))
    assert counts.images.tolist() == [(labels == n).sum() for n in range(50)]
