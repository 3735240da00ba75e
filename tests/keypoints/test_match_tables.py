"""Keypoint matching of tables: blocks and threads, ties, depth, and leave-one-out."""

import numpy as np
import pytest

from outliers_bench.keypoints import match_tables as tables
from outliers_bench.keypoints.keypoints import DESCRIPTORS
from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.types import Exclusion
from tests.keypoints.match_helpers import (
    Images,
    by_kind,
    images,
    match_images,
    match_keypoints,
    match_with_pairs,
)


@by_kind
def test_results_do_not_depend_on_blocks_tiles_and_threads(kind, monkeypatch):
    rng = np.random.default_rng(5)
    queries = images(kind, rng.integers(0, 30, 7), seed=6)
    gallery = images(kind, rng.integers(0, 60, 45), seed=7)
    order = rng.permutation(45)
    expected = match_images(kind, queries, gallery, order=order, depth=9)
    for block, read, tile, cores in ((1, 1, 1, 1), (1, 7, 50, 3), (50_000, 3, 10**6, 2)):
        monkeypatch.setattr(tables, "BLOCK_BYTES", block)
        monkeypatch.setattr(tables, "READ_IMAGES", read)
        monkeypatch.setattr(tables, "TILE_ROWS", tile)
        monkeypatch.setattr("outliers_bench.runtime.machine.cores", lambda cores=cores: cores)
        gallery.reads[:] = 0
        result = match_images(kind, queries, gallery, order=order, depth=9)
        assert np.array_equal(result[0], expected[0])
        assert np.array_equal(result[1], expected[1])
        assert (gallery.reads == 1).all()


@by_kind
def test_ties_follow_the_given_order(kind):
    """Duplicates of a photo have the same score at any position."""
    (photo, query, other) = images(kind, [23, 31, 40], seed=8)
    gallery = Images([photo] * 37 + [other])
    order = np.random.default_rng(9).permutation(38)
    indices, scores = match_images(kind, Images([query]), gallery, order=order)
    same = indices[0] != 37
    assert indices[0][same].tolist() == order[order != 37].tolist()
    assert len(set(scores[0][same])) == 1


def test_returns_the_best():
    kind = DESCRIPTORS["rootsift"]
    queries, gallery = images(kind, [30, 20], seed=10), images(kind, [25] * 50, seed=11)
    order = np.random.default_rng(12).permutation(50)
    indices, scores = match_images(kind, queries, gallery, order=order)
    for depth in (1, 7, 49):
        short = match_images(kind, queries, gallery, order=order, depth=depth)
        assert np.array_equal(short[0], indices[:, :depth])
        assert np.array_equal(short[1], scores[:, :depth])


@by_kind
@pytest.mark.parametrize("mutual", [False, True])
def test_returned_pairs_equal_those_of_match_pair(kind, mutual, monkeypatch):
    """Pairs of the best images have the order that verification uses."""
    monkeypatch.setattr(tables, "BLOCK_BYTES", 40_000)  # several blocks, so that some are replaced
    options = MatchOptions(cross_check=mutual)
    queries = images(kind, [20, 0, 35], seed=1)
    gallery = images(kind, [30, 5, 0, 18, 40, 25, 33, 12], seed=2)
    order = np.random.default_rng(3).permutation(8)
    more = {"order": order, "pairs_depth": 3, "min_matches": 2}
    indices, scores, pairs = match_with_pairs(kind, queries, gallery, options, **more)
    count = 0
    for i, query in enumerate(queries):
        best = [j for j, score in zip(indices[i], scores[i], strict=True) if score >= 2][:3]
        assert set(pairs[i]) == set(best)
        for j in best:
            alone = match_keypoints(kind, query, gallery[j], options)
            assert list(map(tuple, pairs[i][j].tolist())) == list(alone)
            count += 1
    assert count >= 3
    assert match_with_pairs(kind, queries, gallery, options)[2] == [{}, {}, {}]


def test_leave_one_out_excludes_by_identity():
    """The query's own image is excluded, not a duplicate of it."""
    kind = DESCRIPTORS["sift"]
    everything = images(kind, [20, 30, 0, 10], seed=13)
    everything = Images([*everything, everything[1]])
    order = np.array([3, 0, 4, 1, 2])
    indices, scores = match_images(
        kind, everything, everything, order=order, depth=4, exclusion=Exclusion.itself(5)
    )
    for i, row in enumerate(indices):
        assert sorted(row) == [j for j in range(5) if j != i]
    assert indices[1, 0] == 4
    assert indices[4, 0] == 1
    assert np.isfinite(scores).all()


def test_only_images_without_keypoints_score_0():
    kind = DESCRIPTORS["orb"]
    queries, gallery = images(kind, [0, 1], seed=14), images(kind, [0, 1, 2, 0], seed=15)
    order = np.array([3, 0, 2, 1])
    indices, scores = match_images(kind, queries, gallery, order=order)
    assert indices[0].tolist() == order.tolist()
    assert (scores[0] == 0).all()
    assert sorted(indices[1, :2]) == [1, 2]
    assert (scores[1, :2] > 0).all()
    assert indices[1, 2:].tolist() == [3, 0]
    assert (scores[1, 2:] == 0).all()
