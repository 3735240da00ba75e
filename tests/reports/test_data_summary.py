"""The report of a run about its images."""

from dataclasses import replace

import numpy as np

from outliers_bench.reports.data_summary import data_rows
from outliers_bench.types import ITSELF, LeftOut, Split, same
from tests.results import make_split
from tests.toys import ArrayReader, image_set

READER = ArrayReader({})


def split_of(query, gallery, classes, *, train=()):
    parts = [
        image_set([f"{name}{i}" for i in range(len(labels))], labels, classes, READER)
        for name, labels in (("t", train), ("q", query), ("g", gallery))
    ]
    return Split("zoo", *parts)


def test_every_row_of_a_split_with_surprises():
    classes = ("Lion", "ant", "bee", "lion", "owl")
    split = split_of([0, 1, 1, 4], [3, 1, 1, 2], classes, train=[1, 1, 1])
    left_out = [LeftOut(f"{n}.png", "duplicate", "same") for n in range(3)]
    left_out.append(LeftOut("x.png", "unlabeled", "label 'NA'"))
    left_out.append(LeftOut("a.csv", "other", "not an image"))
    split = replace(split, left_out=tuple(left_out))
    assert data_rows(split) == [
        ("queries", "4"),
        ("gallery", "4"),
        ("train", "3"),
        (
            "classes",
            "5, of 1 image (Lion) to 7 (ant), median 1; 4 of one: Lion, bee, lion, owl",
        ),
        ("no match", "2 queries without relevant images, of 2 classes: Lion, owl"),
        (
            "excluded",
            "3 as duplicates (0.png, 1.png, ...); 1 without a label (x.png); "
            "1 without an image (a.csv)",
        ),
        ("spelling", "'Lion' and 'lion' are different classes; rename them if they are one"),
    ]


def test_a_clean_split_needs_four_rows():
    split = split_of([0, 1], [0, 1, 0, 1], ("ant", "bee"))
    assert data_rows(split) == [
        ("queries", "2"),
        ("gallery", "4"),
        ("train", "0"),
        ("classes", "2, of 3 images each"),
        ("excluded", "nothing"),
    ]


def test_only_the_first_of_many_classes_are_named():
    classes = tuple(f"{n:03}" for n in range(200))
    rows = dict(data_rows(split_of([*range(100), 150], [0, *range(100)], classes)))
    assert rows["classes"] == "101, of 1 image (150) to 3 (000), median 2; 1 of one: 150"
    rows = dict(data_rows(split_of([0, *range(100, 107)], [0, 1, 1], classes)))
    assert rows["no match"] == (
        "7 queries without relevant images, of 7 classes: 100, 101, 102, 103, 104, ..."
    )


def test_leave_one_out():
    split = split_of([0, 0, 1], [0, 0, 1], ("ant", "bee"))
    split = replace(split, query=split.gallery, excluded=ITSELF)
    rows = dict(data_rows(split))
    assert rows["queries"] == "3 each against all others"
    assert rows["classes"] == "2, of 1 image (bee) to 2 (ant), median 1.5; 1 of one: bee"
    assert rows["no match"] == "1 query without relevant images, of 1 class: bee"
    sequences = replace(
        split.gallery, columns={"group": np.array(["north", "south", "south"], dtype=object)}
    )
    split = replace(split, query=sequences, gallery=sequences, excluded=same("group"))
    rows = dict(data_rows(split))
    assert rows["queries"] == "3 each against all others of other groups"
    assert rows["groups"] == "1, of 2 images each (1 of several classes); 1 image alone"


def test_groups_and_encounters():
    split = split_of([0, 1, 1], [0, 1, 0], ("ant", "bee"))
    parts = {"query": ["a", "a", "a"], "gallery": ["b", "b", "~g2"]}

    def with_columns(*columns):
        images = {
            part: replace(
                getattr(split, part),
                columns={each: np.array(texts, dtype=object) for each in columns},
            )
            for part, texts in parts.items()
        }
        return dict(data_rows(replace(split, **images)))

    expected = "2, of 2 to 3 images (2 of several classes); 1 image alone; each in one part"
    assert with_columns("group")["groups"] == expected
    assert with_columns("group", "encounter")["encounters"] == expected
    assert "encounters" not in with_columns("encounter")
    parts.update(query=["a", "b", "c"], gallery=["d", "e", "f"])
    assert with_columns("group")["groups"] == "6 images alone; each in one part"


def test_without_labels_only_train_has_classes():
    rows = dict(data_rows(make_split(labeled=False)))
    assert set(rows) == {"queries", "gallery", "train", "excluded"}
    split = make_split(labeled=False)
    train = replace(split.train, labels=np.arange(8, dtype=np.int64) % 4)
    rows = dict(data_rows(replace(split, train=train)))
    assert rows["classes"] == "4 in train, of 2 images each"
