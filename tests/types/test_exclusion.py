"""Gallery images excluded for a query: keys by hand and by brute force, and rules of splits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outliers_bench.errors import BenchError
from outliers_bench.types import ITSELF, Exclusion, LeftOut, Split, same
from tests.toys import digest, image_set, toy_split

labels = st.integers(0, 2)


@given(st.lists(st.tuples(st.integers(-2, 3), labels), max_size=8), st.data())
def test_against_a_loop_over_pairs(gallery, data):
    query = data.draw(st.lists(st.tuples(st.integers(-2, 3), labels), max_size=8))
    q, g = (np.array(rows, dtype=np.int64).reshape(-1, 2) for rows in (query, gallery))
    exclusion = Exclusion(q[:, 0], g[:, 0])
    counts = [sum(key == other for other, _ in gallery) for key, _ in query]
    assert exclusion.counts.tolist() == counts
    assert exclusion.largest == max(counts, default=0)
    assert exclusion.max_depth == len(gallery) - max(counts, default=0)
    with_label = [sum(row == other for other in gallery) for row in query]
    assert exclusion.with_equal(q[:, 1], g[:, 1]).counts.tolist() == with_label
    rows = np.arange(len(query))[::-2]
    taken = exclusion.take(rows)
    assert taken.counts.tolist() == [counts[row] for row in rows]
    everything = np.arange(len(gallery))[None]
    expected = [[key == other for other, _ in gallery] for key, _ in query]
    assert exclusion.mask(slice(None), everything).tolist() == expected
    assert taken.mask(slice(None), everything).tolist() == [expected[row] for row in rows]


def test_itself_and_nothing():
    assert Exclusion.nothing(3, 5).largest == 0
    itself = Exclusion.itself(3)
    assert itself.mask(slice(None), np.arange(3)[None]).tolist() == np.eye(3, dtype=bool).tolist()
    assert itself.take(np.array([2, 0])).items.tolist() == [2, 0]


@pytest.mark.parametrize(
    ("values", "missing"),
    [
        (np.array(["a", "b", None, "a"], dtype=object), 2),
        (np.array(["a", "b", "", "a"]), 2),
        (np.array([1.5, 2.5, np.nan, 1.5]), 2),
        (np.array(["2020-01-01", "2020-01-02", "NaT", "2020-01-01"], dtype="datetime64[ns]"), 2),
        (np.array([7, 8, 9, 7]), None),
    ],
    ids=["objects", "texts", "numbers", "times", "integers"],
)
def test_a_missing_value_equals_no_other(values, missing):
    two_sets = Exclusion.same_value(values, values).counts
    one_set = Exclusion.same_value(values, values, one_set=True).counts
    assert two_sets.tolist() == [2, 1, 1 if missing is None else 0, 2]
    assert one_set.tolist() == [2, 1, 1, 2], "always the query itself"


def with_cameras(images, *cameras):
    return replace(images, columns={"camera": np.array(cameras, dtype=object)})


def test_a_rule_stays_valid_when_images_are_taken_out():
    images = with_cameras(image_set(["p", "q", "r", "s"], [0, 0, 1, 1]), "x", "y", "x", "y")
    split = Split("toy", images.take([]), images, images, excluded=same("camera"))
    assert split.exclusion.counts.tolist() == [2, 2, 2, 2]
    rest = split.without({digest("p"): LeftOut("p", "unreadable", "cut short")})
    assert rest.is_one_set
    assert rest.exclusion.counts.tolist() == [2, 1, 2]


def test_only_itself_needs_one_set_and_same_needs_a_column():
    split = toy_split([0, 1], [0, 1])
    with pytest.raises(ValueError, match="both are one set"):
        replace(split, excluded=ITSELF)
    query = with_cameras(split.query, "x", "y")
    with pytest.raises(BenchError, match="gallery has no column camera; it has none"):
        replace(split, query=query, excluded=same("camera"))


def test_fingerprints_of_earlier_versions_are_valid():
    split = toy_split([0, 1], [0, 1, 2])
    assert split.fingerprint == "67759f99067699538f609b80ad7e8284"
    one_set = Split("toy", split.train, split.gallery, split.gallery, excluded=ITSELF)
    assert one_set.fingerprint == "a53c71979f9026f4497587dc15e41566"


def test_the_fingerprint_depends_on_the_values_that_exclude():
    split = toy_split([0, 1], [0, 1])
    prints = {split.fingerprint}
    for cameras in ("xy", "yx"):
        query, gallery = with_cameras(split.query, *cameras), with_cameras(split.gallery, *"xy")
        prints.add(
            replace(split, query=query, gallery=gallery, excluded=same("camera")).fingerprint
        )
        assert replace(split, query=query, gallery=gallery).fingerprint == split.fingerprint
    assert len(prints) == 3
