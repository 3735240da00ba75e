"""Ranking by keypoints: by inliers, then matches, then similarity."""

import cv2
import numpy as np
import pytest

from outliers_bench.keypoints import match_tables as tables
from outliers_bench.keypoints import rank
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.options import MatchOptions, Verify
from outliers_bench.keypoints.verify import find_inliers
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Exclusion
from tests.keypoints.rank_helpers import (
    NONE,
    ORB,
    SIFT,
    photo,
    rank_images,
    varied_images,
    view,
)

GEOMETRY = [Verify.homography, Verify.affine, Verify.similarity]


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def many(rng):
    """Queries and a gallery."""
    return varied_images(rng)


@pytest.mark.parametrize("verify", GEOMETRY)
def test_ranking_by_inliers_then_matches_then_similarity(rng, verify):
    query = photo(rng)
    gallery = [
        NONE,
        photo(rng),
        view(rng, query, 9, right=0),
        view(rng, query, 30, right=0),
        view(rng, query, 15, right=15),
        view(rng, query, 12, right=12),
    ]
    result = rank_images([query], gallery, MatchOptions(verify=verify))
    assert result.indices[0].tolist() == [4, 5, 3, 2, 1, 0]
    assert np.floor(result.scores[0]).tolist() == [15, 12, 0, 0, 0, 0]
    matches = (result.scores[0] % 1) * 41  # of a query with 40 keypoints
    assert np.floor(matches + 1e-3).tolist() == [15, 12, 30, 9, 0, 0]
    assert result.scores[0, -1] == 0
    assert result.scores[0, -2] > 0


def test_without_verification_the_score_is_the_number_of_matches(rng):
    query = photo(rng)
    gallery = [view(rng, query, n, right=n) for n in (3, 20, 0, 11)] + [NONE]
    result = rank_images([query], gallery, MatchOptions(verify=Verify.none, shortlist=1))
    assert result.indices[0].tolist() == [1, 3, 0, 2, 4]
    assert np.floor(result.scores[0]).tolist() == [20, 11, 3, 0, 0]
    assert result.scores[0, 3] > 0 == result.scores[0, 4]


def test_too_few_inliers_count_as_none(rng):
    query = photo(rng)
    gallery = [view(rng, query, 7, right=7), view(rng, query, 20, right=6)]
    few = MatchOptions(verify=Verify.similarity, reproj_threshold=1, min_inliers=6)
    assert rank_images([query], gallery, few).indices[0].tolist() == [0, 1]
    few.min_inliers = 7
    result = rank_images([query], gallery, few)
    assert np.floor(result.scores[0]).tolist() == [7, 0]
    few.min_inliers = 8
    result = rank_images([query], gallery, few)
    assert result.indices[0].tolist() == [1, 0]
    assert (result.scores < 1).all()


@pytest.mark.parametrize("verify", GEOMETRY)
def test_against_verification_of_single_pairs(many, verify):
    queries, gallery = many
    options = MatchOptions(verify=verify, shortlist=None, min_inliers=5)
    result = rank_images(queries, gallery, options)
    for row, query in enumerate(queries):
        vectors = SIFT.vectors(query.descriptors)
        for image, score in zip(result.indices[row], result.scores[row], strict=True):
            other = gallery[image]
            pairs, _ = match_pair(
                vectors, SIFT.vectors(other.descriptors), options=options, power=2
            )
            is_inlier, _ = find_inliers(
                query.points[pairs[:, 0]],
                other.points[pairs[:, 1]],
                verify,
                options.reproj_threshold,
            )
            count = is_inlier.sum() if is_inlier.sum() >= 5 else 0
            fraction = (score - count) * (len(query) + 1)
            assert len(pairs) - 1e-3 <= fraction < len(pairs) + 1 + 1e-3
            assert (score == 0) == (not len(query) or not len(other))


def test_a_query_without_keypoints_has_the_given_order(many):
    queries, gallery = many
    order = np.random.default_rng(1).permutation(len(gallery))
    result = rank_images(queries, gallery, order=order)
    assert result.indices[2].tolist() == order.tolist()
    assert (result.scores[2] == 0).all()


@pytest.mark.parametrize("verify", list(Verify))
def test_duplicates_follow_the_given_order(many, verify):
    queries, gallery = many
    equal = [3, 22, 24]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(gallery))
        result = rank_images(
            queries, gallery, MatchOptions(verify=verify, shortlist=None), order=order
        )
        for row in result.indices:
            assert row[np.isin(row, equal)].tolist() == order[np.isin(order, equal)].tolist()


@pytest.mark.parametrize("verify", list(Verify))
def test_results_do_not_depend_on_threads_and_blocks(many, verify, monkeypatch):
    queries, gallery = many
    options = MatchOptions(verify=verify, shortlist=9)
    order = np.random.default_rng(2).permutation(len(gallery))
    expected = rank_images(queries, gallery, options, order=order)
    for cores, size, read in ((1, 64, 1), (3, 2, 5)):
        monkeypatch.setattr("outliers_bench.runtime.machine.cores", lambda cores=cores: cores)
        monkeypatch.setattr(tables, "READ_IMAGES", read)
        monkeypatch.setattr(tables, "BLOCK_BYTES", 50_000)
        monkeypatch.setattr(rank, "IMAGES_PER_TASK", size)
        result = rank_images(queries, gallery, options, order=order)
        assert np.array_equal(result.indices, expected.indices)
        assert np.array_equal(result.scores, expected.scores)


def test_the_shortlist_only_changes_the_verified_images(many):
    queries, gallery = many
    full_ranking = rank_images(queries, gallery, MatchOptions(shortlist=None))
    by_matches = rank_images(queries, gallery, MatchOptions(verify=Verify.none))
    for shortlist in (1, 4, 25, 26, 1000):
        result = rank_images(queries, gallery, MatchOptions(shortlist=shortlist))
        for row in range(len(queries)):
            full = dict(zip(full_ranking.indices[row], full_ranking.scores[row], strict=True))
            first = set(by_matches.indices[row, :shortlist])
            for image, score in zip(result.indices[row], result.scores[row], strict=True):
                assert score == (
                    full[image] if image in first else pytest.approx(full[image] % 1, abs=1e-5)
                )
    assert np.array_equal(result.indices, full_ranking.indices)


def test_a_ranking_is_a_prefix_of_the_full_one(many):
    queries, gallery = many
    for shortlist in (3, None):
        options = MatchOptions(shortlist=shortlist)
        full_ranking = rank_images(queries, gallery, options)
        for depth in (1, 3, 10):
            result = rank_images(queries, gallery, options, depth=depth)
            assert np.array_equal(result.indices, full_ranking.indices[:, :depth])
            assert np.array_equal(result.scores, full_ranking.scores[:, :depth])


@pytest.mark.parametrize("shortlist", [2, None])
def test_leave_one_out_excludes_by_identity(many, shortlist):
    _, gallery = many
    options = MatchOptions(shortlist=shortlist)
    result = rank_images(gallery, gallery, options, exclusion=Exclusion.itself(len(gallery)))
    for i, row in enumerate(result.indices):
        assert sorted(row) == [j for j in range(len(gallery)) if j != i]
    assert {int(i) for i in result.indices[[3, 22, 24], 0]} <= {3, 22, 24}


def test_binary_descriptors(rng):
    query = photo(rng, kind=ORB)
    gallery = [view(rng, query, n, right=r, kind=ORB) for n, r in ((9, 0), (12, 12), (0, 0))]
    assert rank_images([query], gallery, kind=ORB).indices[0].tolist() == [1, 0, 2]


def test_matching_and_verification_count_as_search(many):
    meter = Meter()
    rank_images(*many, meter=meter)
    assert set(meter.seconds) == {"match", "verify", "search"}
    assert meter.seconds["search"] >= meter.seconds["match"] + meter.seconds["verify"] > 0


def test_the_number_of_opencv_threads_is_restored(many, monkeypatch):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        rank_images(*many)
        assert cv2.getNumThreads() == 2
        seen = []
        monkeypatch.setattr(
            rank, "find_inliers", lambda *_: seen.append(cv2.getNumThreads()) or 1 / 0
        )
        with pytest.raises(ZeroDivisionError):
            rank_images(*many)
        assert set(seen) == {1}
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)
