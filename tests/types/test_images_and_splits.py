"""Validation of rankings, image sets and splits."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.types import ITSELF, LeftOut, Ranking, Split
from tests.toys import digest, image_set, toy_split


def ranking(indices, scores):
    return Ranking(np.array(indices), np.array(scores, dtype=np.float32))


@pytest.mark.parametrize(
    ("indices", "scores"),
    [
        ([[-1, 0]], [[2, 1]]),
        ([[0, -2]], [[2, 1]]),
        ([[0, 0]], [[2, 1]]),
        ([[1, 0], [99, 99]], [[2, 1], [2, 1]]),
        ([[0, 1]], [[1, 2]]),
        ([[0, 1]], [[1, np.nan]]),
        ([[0, 1]], [[1]]),
    ],
    ids=[
        *("gap", "negative index", "duplicate index", "duplicate in a large gallery"),
        *("ascending scores", "nan", "shapes"),
    ],
)
def test_invalid_rankings(indices, scores):
    with pytest.raises(ValueError, match=r"\w"):
        ranking(indices, scores)


def test_names_and_labels_have_one_length():
    with pytest.raises(BenchError, match="2 names but 1 labels"):
        image_set(["p", "q"], [0])


def test_columns_are_arrays_of_that_length_and_follow_their_images():
    images = image_set(["p", "q", "r"], [0, 1, 0])
    year, box = np.array([2020, 2021, 2022]), np.arange(12).reshape(3, 4)
    images = replace(images, columns={"year": year, "box": box})
    rest = images.take([2, 0]).without({digest("p")})
    assert rest.columns["year"].tolist() == [2022]
    assert rest.columns["box"].tolist() == [[8, 9, 10, 11]]
    with pytest.raises(BenchError, match="3 names but 2 year"):
        replace(images, columns={"year": year[:2]})
    with pytest.raises(TypeError, match="year is a list"):
        replace(images, columns={"year": [2020, 2021, 2022]})


def test_labels_are_indices_of_classes():
    with pytest.raises(BenchError, match=r"labels 0\.\.5 do not fit 3 classes"):
        image_set(["p", "q"], [0, 5])


def test_content_is_unique_within_a_labeled_part():
    split = toy_split([0, 1], [0, 1])
    copy = replace(split.query, digests=split.gallery.digests)
    assert len(Split("toy", split.train, copy, split.gallery).images) == 2
    twice = replace(split.query, digests=split.gallery.digests[:1] * 2)
    with pytest.raises(BenchError, match="same image content is in query twice"):
        Split("toy", split.train, twice, split.gallery)


def test_fingerprint_depends_on_content_not_on_names_or_order():
    split = toy_split([0, 1, 2], [0, 1])
    renamed = replace(split.query, names=("x", "y", "z")).take([2, 0, 1])
    again = Split("other", split.train, renamed, split.gallery)
    assert again.fingerprint == split.fingerprint
    relabeled = replace(split.query, labels=np.array([0, 1, 1]))
    changed = Split("toy", split.train, relabeled, split.gallery)
    assert changed.fingerprint != split.fingerprint
    swapped = Split("toy", split.train, split.gallery, split.query)
    assert swapped.fingerprint != split.fingerprint


def test_without_removes_images_from_every_part():
    split = toy_split([0, 1], [0, 1, 2])
    unreadable = {
        digest("query-0"): LeftOut("query-0", "unreadable", "cut short"),
        digest("gallery-2"): LeftOut("gallery-2", "unreadable", "cut short"),
    }
    rest = split.without(unreadable)
    assert rest.query.names == ("query-1",)
    assert rest.gallery.names == ("gallery-0", "gallery-1")
    assert len(rest.left_out) == 2
    assert split.without({}) is split


def test_leave_one_out_keeps_query_and_gallery_the_same():
    images = image_set(["p", "q", "r"], [0, 0, 1])
    split = Split("loo", images.take([]), images, images, excluded=ITSELF)
    rest = split.without({digest("q"): LeftOut("q", "unreadable", "cut short")})
    assert rest.query.names == rest.gallery.names == ("p", "r")
    assert rest.images.names == ("p", "r")


def test_images_lists_every_content_once():
    assert len(toy_split([0, 1], [0, 1, 2]).images) == 5


def test_a_ranking_without_some_images_moves_the_others_up():
    ranking = Ranking(
        np.array([[4, 2, 0, 1], [3, 1, -1, -1], [0, 1, 2, 3]]),
        np.array([[0.9, 0.8, 0.7, 0.6], [0.5, 0.4, -np.inf, -np.inf], [4, 3, 2, 1]], np.float32),
    )
    excluded = np.array([[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], np.bool_)
    left = ranking.without(excluded)
    assert left.indices.tolist() == [[2, 1, -1, -1], [3, -1, -1, -1], [0, 1, 2, 3]]
    assert left.scores[0, :2].tolist() == ranking.scores[0, [1, 3]].tolist()
    assert np.isneginf(left.scores[:2, 2:]).all()
    assert ranking.without(np.zeros_like(excluded)) is ranking
