"""Rankings: inliers, then matches, then likeness; the same however the work is cut up."""

import cv2
import numpy as np
import pytest

from outliers_bench.keypoints import match_tables as tables
from outliers_bench.keypoints import rank
from outliers_bench.keypoints.keypoints import DESCRIPTORS, Keypoints
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.options import MatchOptions, Verify
from outliers_bench.keypoints.rank import rank_by_keypoints, rerank_by_keypoints
from outliers_bench.keypoints.verify import inliers
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Ranking

SIFT, ORB = DESCRIPTORS["sift"], DESCRIPTORS["orb"]
GEOMETRY = [Verify.homography, Verify.affine, Verify.similarity]


class Images(list):
    def take(self, rows):
        return [self[row] for row in rows]


def features(rng, n, kind=SIFT):
    if kind.bits:
        return rng.integers(0, 256, (n, kind.nbytes)).astype(np.uint8)
    return rng.gamma(0.4, 40, (n, kind.nbytes)).clip(0, 255).astype(np.uint8)


def view(rng, query, shared, *, right, extra=10, kind=SIFT):
    """An image that shares descriptors with the query, the first `right` of them in place."""
    points = rng.uniform(0, 300, (shared + extra, 2))
    points[:right] = query.points[:right] * 0.9 + [12, 20]
    descriptors = np.concatenate([query.descriptors[:shared], features(rng, extra, kind)])
    return Keypoints(points.astype(np.float32), descriptors)


def photo(rng, n=40, kind=SIFT):
    return Keypoints(rng.uniform(0, 300, (n, 2)).astype(np.float32), features(rng, n, kind))


NONE = Keypoints(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))


def ranked(queries, gallery, options=None, *, kind=SIFT, depth=None, order=None, **more):
    n = len(gallery) - bool(more.get("leave_one_out"))
    return rank_by_keypoints(
        Images(queries),
        Images(gallery),
        descriptor=kind,
        options=options or MatchOptions(),
        depth=n if depth is None else depth,
        order=np.arange(len(gallery)) if order is None else order,
        **more,
    )


def reranked(ranking, queries, gallery, options=None):
    return rerank_by_keypoints(
        ranking,
        Images(queries),
        Images(gallery),
        descriptor=SIFT,
        options=options or MatchOptions(),
    )


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def many(rng):
    """Queries and a gallery with all degrees of likeness, repeats and empty images."""
    queries = [photo(rng), photo(rng), NONE, photo(rng, 3)]
    gallery = [
        view(rng, queries[i % 2], shared, right=int(shared * rng.random()))
        for i, shared in enumerate(rng.integers(0, 30, 20))
    ]
    gallery += [NONE, photo(rng, 1), gallery[3], gallery[4], gallery[3], NONE]
    return queries, gallery


@pytest.mark.parametrize("verify", GEOMETRY)
def test_inliers_before_matches_before_likeness(rng, verify):
    query = photo(rng)
    gallery = [
        NONE,
        photo(rng),
        view(rng, query, 9, right=0),
        view(rng, query, 30, right=0),
        view(rng, query, 15, right=15),
        view(rng, query, 12, right=12),
    ]
    got = ranked([query], gallery, MatchOptions(verify=verify))
    assert got.indices[0].tolist() == [4, 5, 3, 2, 1, 0]
    assert np.floor(got.scores[0]).tolist() == [15, 12, 0, 0, 0, 0]
    matches = (got.scores[0] % 1) * 41  # of a query with 40 keypoints
    assert np.floor(matches + 1e-3).tolist() == [15, 12, 30, 9, 0, 0]
    assert got.scores[0, -1] == 0
    assert got.scores[0, -2] > 0


def test_without_verification_the_score_is_the_number_of_matches(rng):
    query = photo(rng)
    gallery = [view(rng, query, n, right=n) for n in (3, 20, 0, 11)] + [NONE]
    got = ranked([query], gallery, MatchOptions(verify=Verify.none, shortlist=1))
    assert got.indices[0].tolist() == [1, 3, 0, 2, 4]
    assert np.floor(got.scores[0]).tolist() == [20, 11, 3, 0, 0]
    assert got.scores[0, 3] > 0 == got.scores[0, 4]


def test_too_few_inliers_count_as_none(rng):
    query = photo(rng)
    gallery = [view(rng, query, 7, right=7), view(rng, query, 20, right=6)]
    few = MatchOptions(verify=Verify.similarity, reproj_threshold=1, min_inliers=6)
    assert ranked([query], gallery, few).indices[0].tolist() == [0, 1]
    few.min_inliers = 7
    got = ranked([query], gallery, few)
    assert np.floor(got.scores[0]).tolist() == [7, 0]
    few.min_inliers = 8
    got = ranked([query], gallery, few)
    assert got.indices[0].tolist() == [1, 0]
    assert (got.scores < 1).all()


@pytest.mark.parametrize("verify", GEOMETRY)
def test_like_one_pair_after_the_other(many, verify):
    queries, gallery = many
    options = MatchOptions(verify=verify, shortlist=None, min_inliers=5)
    got = ranked(queries, gallery, options)
    for row, query in enumerate(queries):
        vectors = SIFT.vectors(query.descriptors)
        for image, score in zip(got.indices[row], got.scores[row], strict=True):
            other = gallery[image]
            pairs, _ = match_pair(
                vectors, SIFT.vectors(other.descriptors), options=options, power=2
            )
            agree, _ = inliers(
                query.points[pairs[:, 0]],
                other.points[pairs[:, 1]],
                verify,
                options.reproj_threshold,
            )
            count = agree.sum() if agree.sum() >= 5 else 0
            fraction = (score - count) * (len(query) + 1)
            assert len(pairs) - 1e-3 <= fraction < len(pairs) + 1 + 1e-3
            assert (score == 0) == (not len(query) or not len(other))


def test_a_query_without_keypoints_gets_the_given_order(many):
    queries, gallery = many
    order = np.random.default_rng(1).permutation(len(gallery))
    got = ranked(queries, gallery, order=order)
    assert got.indices[2].tolist() == order.tolist()
    assert (got.scores[2] == 0).all()


@pytest.mark.parametrize("verify", list(Verify))
def test_equal_images_follow_the_given_order(many, verify):
    queries, gallery = many
    equal = [3, 22, 24]
    for seed in range(5):
        order = np.random.default_rng(seed).permutation(len(gallery))
        got = ranked(queries, gallery, MatchOptions(verify=verify, shortlist=None), order=order)
        for row in got.indices:
            assert row[np.isin(row, equal)].tolist() == order[np.isin(order, equal)].tolist()


@pytest.mark.parametrize("verify", list(Verify))
def test_threads_and_slices_change_nothing(many, verify, monkeypatch):
    queries, gallery = many
    options = MatchOptions(verify=verify, shortlist=9)
    order = np.random.default_rng(2).permutation(len(gallery))
    expected = ranked(queries, gallery, options, order=order)
    for cores, some, read in ((1, 64, 1), (3, 2, 5)):
        monkeypatch.setattr(tables, "cores", lambda cores=cores: cores)
        monkeypatch.setattr(tables, "READ_IMAGES", read)
        monkeypatch.setattr(tables, "BLOCK_BYTES", 50_000)
        monkeypatch.setattr(rank, "SLICE", some)
        got = ranked(queries, gallery, options, order=order)
        assert np.array_equal(got.indices, expected.indices)
        assert np.array_equal(got.scores, expected.scores)


def test_a_longer_shortlist_changes_only_who_is_verified(many):
    queries, gallery = many
    everything = ranked(queries, gallery, MatchOptions(shortlist=None))
    by_matches = ranked(queries, gallery, MatchOptions(verify=Verify.none))
    for shortlist in (1, 4, 25, 26, 1000):
        got = ranked(queries, gallery, MatchOptions(shortlist=shortlist))
        for row in range(len(queries)):
            full = dict(zip(everything.indices[row], everything.scores[row], strict=True))
            first = set(by_matches.indices[row, :shortlist])
            for image, score in zip(got.indices[row], got.scores[row], strict=True):
                assert score == (
                    full[image] if image in first else pytest.approx(full[image] % 1, abs=1e-5)
                )
    assert np.array_equal(got.indices, everything.indices)


def test_depth_cuts_the_same_ranking(many):
    queries, gallery = many
    for shortlist in (3, None):
        options = MatchOptions(shortlist=shortlist)
        everything = ranked(queries, gallery, options)
        for depth in (1, 3, 10):
            got = ranked(queries, gallery, options, depth=depth)
            assert np.array_equal(got.indices, everything.indices[:, :depth])
            assert np.array_equal(got.scores, everything.scores[:, :depth])


@pytest.mark.parametrize("shortlist", [2, None])
def test_leaves_out_by_identity(many, shortlist):
    _, gallery = many
    options = MatchOptions(shortlist=shortlist)
    got = ranked(gallery, gallery, options, leave_one_out=True)
    for i, row in enumerate(got.indices):
        assert sorted(row) == [j for j in range(len(gallery)) if j != i]
    assert {int(i) for i in got.indices[[3, 22, 24], 0]} <= {3, 22, 24}


def test_binary_descriptors(rng):
    query = photo(rng, kind=ORB)
    gallery = [view(rng, query, n, right=r, kind=ORB) for n, r in ((9, 0), (12, 12), (0, 0))]
    assert ranked([query], gallery, kind=ORB).indices[0].tolist() == [1, 0, 2]


def test_the_meter_counts_both_as_searching(many):
    meter = Meter()
    ranked(*many, meter=meter)
    assert set(meter.seconds) == {"match", "verify", "search"}
    assert meter.seconds["search"] >= meter.seconds["match"] + meter.seconds["verify"] > 0


def test_opencv_has_its_threads_back(many, monkeypatch):
    before = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        ranked(*many)
        assert cv2.getNumThreads() == 2
        seen = []
        monkeypatch.setattr(rank, "inliers", lambda *_: seen.append(cv2.getNumThreads()) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            ranked(*many)
        assert set(seen) == {1}
        assert cv2.getNumThreads() == 2
    finally:
        cv2.setNumThreads(before)


def by(scores):
    """A ranking with the given scores, of images 0, 1, 2, ..."""
    scores = np.array([scores], dtype=np.float32)
    return Ranking(np.arange(scores.shape[1])[None], scores)


def test_rerank_puts_the_shortlist_in_order_by_inliers(rng):
    query = photo(rng)
    rights = (0, 8, 0, 12, 0, 20)
    gallery = [view(rng, query, 20, right=right) for right in rights]
    ranking = by([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    got = reranked(ranking, [query], gallery, MatchOptions(shortlist=5))
    assert got.indices[0].tolist() == [3, 1, 0, 2, 4, 5]  # 20 inliers come too late
    inside = np.arctan([0.6, 0.8, 0.9, 0.7, 0.5, 0.4]) / np.pi + 0.5
    assert np.allclose(got.scores[0] - inside, [12, 8, 0, 0, 0, 0], atol=1e-5)
    whole = reranked(ranking, [query], gallery, MatchOptions(shortlist=None))
    assert whole.indices[0].tolist() == [5, 3, 1, 0, 2, 4]


@pytest.mark.parametrize(
    "scores",
    [
        [3e38, 1e10, 1e9, 5, 5, 5, -1e-30, -7],
        [-1e9, -1e9 - 64, -2e9, -3e9, -3e38, -3e38, -3.1e38, -3.1e38],
        [3e38, 3e38, 1e-3, 1e-3, 0, -0.0, -1, -2],
        np.linspace(0.30001, 0.3, 8),
    ],
)
def test_rerank_without_inliers_keeps_the_order(rng, scores):
    query = photo(rng)
    gallery = [photo(rng) for _ in range(7)] + [NONE]
    ranking = by(scores)
    for shortlist in (1, 4, None):
        got = reranked(ranking, [query], gallery, MatchOptions(shortlist=shortlist))
        assert np.array_equal(got.indices, ranking.indices)
        assert (got.scores >= 0).all()
        assert (got.scores < 1).all()


def test_rerank_of_rows_in_any_order(many):
    queries, gallery = many
    rng = np.random.default_rng(3)
    indices = np.array([rng.permutation(len(gallery))[:12] for _ in queries])
    ranking = Ranking(indices, np.tile(np.linspace(1, 0, 12, dtype=np.float32), (4, 1)))
    got = reranked(ranking, queries, gallery, MatchOptions(shortlist=6))
    everything = ranked(queries, gallery, MatchOptions(shortlist=None))
    for row in range(4):
        full = dict(zip(everything.indices[row], np.floor(everything.scores[row]), strict=True))
        first = sorted(indices[row, :6], key=lambda image: -full[image])
        assert got.indices[row].tolist() == [*first, *indices[row, 6:]]
