"""Deduplication within parts, and images with conflicting labels."""

from collections import Counter

import pytest

from outliers_bench.data.deduplicate import deduplicate
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, Split
from tests.toys import ArrayReader, image_set

READER = ArrayReader({})


def part(names, contents, labels):
    images = image_set(contents, labels)
    return ImageSet(tuple(names), images.digests, images.labels, images.classes, READER)


def kinds(left_out):
    return Counter((item.name, item.kind) for item in left_out)


def test_one_of_several_duplicates_stays():
    images = part(["z", "b", "a", "c"], ["same", "other", "same", "same"], [0, 1, 0, 0])
    (remaining,), left_out = deduplicate([images])
    assert remaining.names == ("b", "a")
    assert kinds(left_out) == {("z", "duplicate"): 1, ("c", "duplicate"): 1}
    assert {item.detail for item in left_out} == {"same content as a"}


def test_content_with_two_labels_is_excluded():
    images = part(["x", "y", "z", "w"], ["same", "same", "same", "other"], [0, 1, 0, 0])
    (remaining,), left_out = deduplicate([images])
    assert remaining.names == ("w",)
    assert {item.kind for item in left_out} == {"conflicting_labels"}
    assert {item.name: item.detail for item in left_out}["y"] == "is 'b' here and 'a' as x"


def test_duplicates_across_parts_are_left_to_the_audit():
    query = part(["q"], ["one"], [0])
    gallery = part(["g1", "g2", "g3"], ["two", "one", "two"], [1, 0, 1])
    train = part(["t1", "t2", "t3"], ["one", "two", "three"], [0, 1, 2])
    parts, left_out = deduplicate([query, gallery, train])
    assert [images.names for images in parts] == [("q",), ("g1", "g2"), ("t1", "t2", "t3")]
    assert [item.detail for item in left_out] == ["same content as g1"]
    query, gallery, train = parts
    assert Split("toy", train, query, gallery).labeled


def test_content_with_different_labels_in_two_parts_is_excluded_from_both():
    query = part(["q1", "q2"], ["one", "two"], [0, 1])
    gallery = part(["g1", "g2"], ["one", "two"], [1, 1])
    parts, left_out = deduplicate([query, gallery])
    assert [images.names for images in parts] == [("q2",), ("g2",)]
    assert kinds(left_out) == {("q1", "conflicting_labels"): 1, ("g1", "conflicting_labels"): 1}


def test_unlabeled_query_and_gallery_images_stay():
    query = part(["q1", "q2"], ["one", "one"], None)
    gallery = part(["g1", "g2"], ["one", "two"], None)
    train = part(["t1", "t2"], ["two", "two"], [0, 0])
    parts, left_out = deduplicate([query, gallery, train])
    assert [images.names for images in parts] == [("q1", "q2"), ("g1", "g2"), ("t1",)]
    assert kinds(left_out) == {("t2", "duplicate"): 1}
    query, gallery, train = parts
    assert not Split("competition", train, query, gallery).labeled


def test_split_refuses_duplicates_and_empty_parts():
    twice, once = part(["a", "b"], ["one", "one"], [0, 0]), part(["a"], ["one"], [0])
    nothing = part([], [], [])
    for parts in ((nothing, twice, once), (nothing, once, twice), (twice, once, once)):
        with pytest.raises(BenchError, match=r"twice|no images in"):
            Split("x", *parts)
