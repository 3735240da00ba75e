"""Choice of the clusters that intervals and tests resample as a whole."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.choose_clusters import (
    Statistics,
    choose_unit,
    cluster_texts,
    column_digest,
    make_clusters,
)
from tests.toys import toy_split


def split_of(labels, images=2, **columns):
    """Return a split of queries with labels, and as many images of each label in the gallery."""
    gallery = np.repeat(np.unique(labels), images)
    split = toy_split(labels, gallery, classes=max(labels) + 1)
    arrays = {name: np.array(values, dtype=object) for name, values in columns.items()}
    return replace(split, query=replace(split.query, columns=arrays))


MANY = list(range(20)) * 3
PAIRS = [f"{label}{n % 2}" for n in (0, 1, 2) for label in range(20)]  # two in each label
BURSTS = [f"burst {row // 10}" for row in range(60)]  # six, across labels


@pytest.mark.parametrize(
    ("labels", "images", "columns", "expected"),
    [
        (MANY, 27, {}, "label"),
        (MANY, 28, {}, "query"),  # 31 images of each: kinds
        (MANY[:-3], 27, {}, "label"),
        (list(range(19)) * 3, 2, {}, "query"),  # too few labels
        ([0, 0, 1], 2, {"group": ["a", "a", "b"]}, "group"),
        ([0, 0, 1], 2, {"encounter": ["a", "a", "b"]}, "encounter"),
        ([0, 0, 1], 2, {"encounter": ["a", "a", "b"], "group": ["a", "b", "c"]}, "group"),
        ([0, 0, 1], 2, {"group": ["", None, float("nan")]}, "query"),  # none has a group
        (MANY, 2, {"encounter": PAIRS}, "label"),  # 20 individuals of 40 encounters
        (MANY, 2, {"encounter": BURSTS}, "encounter"),
        ([0, 0, 1], 2, {"camera": ["a", "a", "b"]}, "query"),
    ],
)
def test_rule_of_auto(labels, images, columns, expected):
    assert choose_unit(split_of(labels, images, **columns)) == expected


def test_images_of_a_label_are_counted_once_in_all_parts():
    split = split_of(MANY, 27)
    both = replace(split, query=split.gallery.take(np.arange(len(split.gallery))))
    assert choose_unit(both) == "label"
    digests = tuple(bytes([n]) * 16 for n in range(20))
    train = replace(split.gallery.take(range(0, 540, 27)), digests=digests)
    assert choose_unit(replace(split, train=train.take([0]))) == "label"
    thick = replace(split, train=train)
    assert choose_unit(thick) == "query", "one more in train: 31 of each label"


def test_a_requested_unit_is_used_if_the_queries_have_it():
    split = split_of([0, 0, 1], camera=["a", "b", "a"])
    assert [choose_unit(split, unit) for unit in ("query", "label", "camera")] == [
        *("query", "label", "camera"),
    ]
    with pytest.raises(BenchError, match=r"^statistics\.cluster=group: the queries of toy have no"):
        choose_unit(split, "group")
    with pytest.raises(BenchError, match=r"give auto, query, label, camera$"):
        choose_unit(split, "cam")
    with pytest.raises(BenchError, match=r"^statistics\.cluster=site: no query of toy has a value"):
        choose_unit(split_of([0, 0, 1], site=["", None, float("nan")]), "site")
    with pytest.raises(BenchError, match=r"statistics\.cluster= is empty"):
        Statistics(" ").check()


def test_clusters_by_hand():
    times = np.array(["2024-05-01", "2024-05-02", "2024-05-01", "NaT", "NaT"], "M8[ns]")
    split = split_of([3, 3, 0, 0, 0], camera=["b", "", "b", None, "a"])
    query = replace(split.query, columns={**split.query.columns, "time": times})
    split = replace(split, query=query)
    rows = np.arange(5)
    assert make_clusters(split, "query", rows).ids.tolist() == [0, 1, 2, 3, 4]
    assert make_clusters(split, "label", rows).ids.tolist() == [0, 0, 1, 1, 1]
    # A query without a value is a cluster of its own.
    assert make_clusters(split, "camera", rows).ids.tolist() == [0, 1, 0, 2, 3]
    assert make_clusters(split, "time", rows).ids.tolist() == [0, 1, 0, 2, 3]
    assert make_clusters(split, "camera", np.array([4, 0, 2])).ids.tolist() == [0, 1, 1]
    assert make_clusters(split, "camera", rows).n == 4
    assert cluster_texts(split, "label", rows)[:3] == ["class-3", "class-3", "class-0"]
    assert cluster_texts(split, "time", rows)[2:4] == ["2024-05-01 00:00:00", ""]


def test_the_digest_of_a_column_has_its_values_in_any_order():
    split = split_of([0, 0, 1], camera=["a", "b", "a"])
    reversed_rows = replace(split, query=split.query.take([2, 1, 0]))
    changed = split_of([0, 0, 1], camera=["a", "b", "b"])
    assert column_digest(split, "camera") == column_digest(reversed_rows, "camera")
    assert column_digest(split, "camera") != column_digest(changed, "camera")
    assert column_digest(split, "label") == column_digest(split, "query") == ""
