"""Gallery images excluded for a query: keys by hand and by brute force, and rules of splits."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outliers_bench.errors import BenchError
from outliers_bench.evaluation import count_relevant
from outliers_bench.types import ITSELF, NOTHING, Exclusion, LeftOut, Split, same
from tests.toys import digest, image_set, toy_split

labels = st.integers(0, 2)


keys = st.lists(st.integers(-2, 3), min_size=3, max_size=3)


@given(st.lists(st.tuples(keys, labels), max_size=8), st.integers(0, 3), st.data())
def test_against_a_loop_over_pairs(gallery, rules, data):
    """Images that several rules exclude count once."""
    query = data.draw(st.lists(st.tuples(keys, labels), max_size=8))
    q, g = (
        np.array([row for row, _ in rows], np.int64).reshape(-1, 3) for rows in (query, gallery)
    )
    exclusion = Exclusion(q.T[:rules], g.T[:rules])
    expected = [
        [any(own[rule] == other[rule] for rule in range(rules)) for other, _ in gallery]
        for own, _ in query
    ]
    counts = [sum(row) for row in expected]
    assert exclusion.counts.tolist() == counts
    pairs = [(row, item) for row, hits in enumerate(expected) for item in np.flatnonzero(hits)]
    assert list(zip(*exclusion.images(), strict=True)) == pairs
    assert exclusion.available.tolist() == [len(gallery) - count for count in counts]
    assert exclusion.largest == max(counts, default=0)
    assert exclusion.max_depth == len(gallery) - min(counts, default=0)
    values = (np.array([label for _, label in rows], np.int64) for rows in (query, gallery))
    with_label = [
        sum(hit and label == of_query for hit, (_, label) in zip(row, gallery, strict=True))
        for row, (_, of_query) in zip(expected, query, strict=True)
    ]
    assert exclusion.with_equal(*values).counts.tolist() == with_label
    rows = np.arange(len(query))[::-2]
    taken = exclusion.take(rows)
    assert taken.counts.tolist() == [counts[row] for row in rows]
    everything = np.arange(len(gallery))[None]
    assert exclusion.mask(slice(None), everything).tolist() == expected
    assert taken.mask(slice(None), everything).tolist() == [expected[row] for row in rows]
    joined = Exclusion.any_of([Exclusion(q.T[[rule]], g.T[[rule]]) for rule in range(3)])
    assert joined.counts.tolist() == Exclusion(q.T, g.T).counts.tolist()


def test_no_image_is_excluded_at_the_end_of_a_row():
    mask = Exclusion.itself(3).mask(slice(None), np.array([[0, 2, -1]] * 3))
    assert mask.tolist() == [[True, False, False], [False, False, False], [False, True, False]]


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
    one_set = Exclusion.same_value(values, values, own=np.arange(len(values))).counts
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


def test_queries_that_are_a_part_of_the_gallery_are_found_in_it_by_content():
    images = with_cameras(image_set(["p", "q", "r", "s"], [0, 0, 1, 1]), "x", "y", None, "y")
    one_set = Split("toy", images.take([]), images, images, excluded=ITSELF | same("camera"))
    rows = [3, 0, 2]
    for excluded in (ITSELF, same("camera"), ITSELF | same("camera"), NOTHING):
        whole = replace(one_set, excluded=excluded)
        part = replace(whole, query=images.take(rows))
        assert part.positions.tolist() == rows
        every = np.arange(4)[None]
        masks = [split.exclusion.mask(slice(None), every) for split in (whole, part)]
        assert masks[1].tolist() == masks[0][rows].tolist()
    assert (
        replace(one_set, query=images.take(rows), excluded=ITSELF).exclusion.items.tolist() == rows
    )


def test_junk_has_the_label_and_the_camera_of_the_query():
    """Market-1501: the same person by the same camera is neither right nor wrong."""
    query = with_cameras(image_set(["q"], [0]), "x")
    gallery = with_cameras(image_set(["p", "r", "s", "t"], [0, 0, 1, 1]), "x", "y", "x", "y")
    gallery = replace(gallery, reader=query.reader)
    split = Split("toy", query.take([]), query, gallery, same("camera", and_label=True))
    assert split.exclusion.mask(slice(None), np.arange(4)[None]).tolist() == [
        [True, False, False, False]
    ]
    assert count_relevant(split).tolist() == [1]
    unlabeled = replace(
        split, query=replace(query, labels=None), gallery=replace(gallery, labels=None)
    )
    assert unlabeled.exclusion.counts.tolist() == [2], "the value alone"
    assert same("camera") | same("camera") == same("camera")


def test_only_itself_needs_one_set_and_same_needs_a_column():
    split = toy_split([0, 1], [0, 1])
    with pytest.raises(ValueError, match="is not in the gallery"):
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
        junk = same("camera", and_label=True)
        prints.add(replace(split, query=query, gallery=gallery, excluded=junk).fingerprint)
        assert replace(split, query=query, gallery=gallery).fingerprint == split.fingerprint
    assert len(prints) == 5
