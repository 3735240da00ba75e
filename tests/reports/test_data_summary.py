"""The report of a run about its images."""

from dataclasses import replace

import numpy as np

from outliers_bench.evaluation.evaluate import evaluate
from outliers_bench.reports.data_summary import data_rows
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Costs
from outliers_bench.types import ITSELF, LeftOut, Ranking, Split
from tests.results import make_result, make_split
from tests.toys import ArrayReader, image_set

READER = ArrayReader({})


def result(query, gallery, classes, *, train=()):
    """Rank the gallery in its own order for every query."""
    parts = [
        image_set([f"{name}{i}" for i in range(len(labels))], labels, classes, READER)
        for name, labels in (("t", train), ("q", query), ("g", gallery))
    ]
    split = Split("zoo", *parts)
    order = np.tile(np.arange(len(gallery)), (len(query), 1))
    ranking = Ranking(order, -order.astype(np.float32))
    return Result(split, ranking, evaluate(ranking, split, k=[1]), Costs(1, 1, 0, None, 1.0, 1, 1))


def test_every_row_of_a_split_with_surprises():
    classes = ("Lion", "ant", "bee", "lion", "owl")
    found = result([0, 1, 1, 4], [3, 1, 1, 2], classes, train=[1, 1, 1])
    left_out = [LeftOut(f"{n}.png", "duplicate", "same") for n in range(3)]
    left_out.append(LeftOut("x.png", "unlabeled", "label 'NA'"))
    found = replace(found, split=replace(found.split, left_out=tuple(left_out)))
    assert data_rows(found) == [
        ("queries", "4"),
        ("gallery", "4"),
        ("train", "3"),
        (
            "classes",
            "5, of 1 image (Lion) to 7 (ant), median 1; 4 of one: Lion, bee, lion, owl",
        ),
        ("no match", "2 queries without relevant images, of 2 classes: Lion, owl"),
        ("excluded", "3 as duplicates (0.png, 1.png, ...), 1 without a label (x.png)"),
        ("spelling", "'Lion' and 'lion' are different classes; rename them if they are one"),
    ]


def test_a_clean_split_needs_four_rows():
    found = result([0, 1], [0, 1, 0, 1], ("ant", "bee"))
    assert data_rows(found) == [
        ("queries", "2"),
        ("gallery", "4"),
        ("train", "0"),
        ("classes", "2, of 3 images each"),
        ("excluded", "nothing"),
    ]


def test_only_the_first_of_many_classes_are_named():
    classes = tuple(f"{n:03}" for n in range(200))
    rows = dict(data_rows(result([*range(100), 150], [0, *range(100)], classes)))
    assert rows["classes"] == "101, of 1 image (150) to 3 (000), median 2; 1 of one: 150"
    rows = dict(data_rows(result([0, *range(100, 107)], [0, 1, 1], classes)))
    assert rows["no match"] == (
        "7 queries without relevant images, of 7 classes: 100, 101, 102, 103, 104, ..."
    )


def test_leave_one_out():
    found = result([0, 0, 1], [0, 0, 1], ("ant", "bee"))
    gallery = found.split.gallery
    split = replace(found.split, query=gallery, excluded=ITSELF)
    ranking = Ranking(np.array([[1, 2], [0, 2], [0, 1]]), np.float32([[2, 1]] * 3))
    found = replace(found, split=split, evaluation=evaluate(ranking, split, k=[1]))
    rows = dict(data_rows(found))
    assert rows["queries"] == "3 each against all others"
    assert rows["classes"] == "2, of 1 image (bee) to 2 (ant), median 1.5; 1 of one: bee"
    assert rows["no match"] == "1 query without relevant images, of 1 class: bee"


def test_without_labels_only_train_has_classes():
    rows = dict(data_rows(make_result(make_split(labeled=False))))
    assert set(rows) == {"queries", "gallery", "train", "excluded"}
    split = make_split(labeled=False)
    train = replace(split.train, labels=np.arange(8, dtype=np.int64) % 4)
    rows = dict(data_rows(make_result(replace(split, train=train))))
    assert rows["classes"] == "4 in train, of 2 images each"
