"""Geometry: what was planted is found, what is none counts as none, each call says the same."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from outliers_bench.keypoints import verify as module
from outliers_bench.keypoints.options import Verify
from outliers_bench.keypoints.verify import MINIMUM, inliers

PLANTED = {
    Verify.homography: [[0.9, 0.1, 10], [-0.1, 0.95, 25], [2e-4, 3e-4, 1]],
    Verify.affine: [[1.2, 0.3, 10], [-0.1, 0.8, 25], [0, 0, 1]],
    Verify.similarity: [[0.8, 0.3, 10], [-0.3, 0.8, 25], [0, 0, 1]],
}
all_kinds = pytest.mark.parametrize("kind", list(MINIMUM), ids=lambda kind: kind.name)


def moved(points, matrix):
    moved = np.column_stack([points, np.ones(len(points))]) @ np.transpose(matrix)
    return (moved[:, :2] / moved[:, 2:]).astype(np.float32)


def scene(matrix, *, right, wrong, seed=0, noise=0.5):
    """Matches of which the first `right` obey the matrix."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(0, 300, (right + wrong, 2)).astype(np.float32)
    b = rng.uniform(0, 300, (right + wrong, 2)).astype(np.float32)
    b[:right] = moved(a[:right], matrix) + rng.normal(0, noise, (right, 2)).clip(-2, 2)
    return a, b


@all_kinds
def test_finds_what_was_planted(kind):
    a, b = scene(PLANTED[kind], right=30, wrong=40)
    agree, transform = inliers(a, b, kind, 5.0)
    assert agree.dtype == bool
    assert agree[:30].mean() > 0.9
    assert agree[30:].sum() <= 3
    assert transform.shape == ((3, 3) if kind is Verify.homography else (2, 3))
    matrix = np.eye(3)
    matrix[: len(transform)] = transform
    assert np.abs(moved(a[:30], matrix) - moved(a[:30], PLANTED[kind])).max() < 5


@all_kinds
def test_agreeing_means_within_the_threshold(kind):
    a, b = scene(PLANTED[kind], right=40, wrong=40, noise=1.5, seed=1)
    for threshold in (1.0, 3.0, 8.0):
        agree, transform = inliers(a, b, kind, threshold)
        matrix = np.eye(3)
        matrix[: len(transform)] = transform
        assert agree.any()
        misses = np.linalg.norm(moved(a, matrix) - b, axis=1)
        assert (misses[agree] <= threshold + 1e-3).all()


def test_a_similarity_does_not_shear():
    a, b = scene([[1.6, 0, 0], [0, 0.6, 0], [0, 0, 1]], right=40, wrong=0)
    assert inliers(a, b, Verify.affine, 3.0)[0].sum() > 35
    assert inliers(a, b, Verify.similarity, 3.0)[0].sum() < 20


@all_kinds
def test_too_few_matches(kind):
    for n in range(MINIMUM[kind]):
        agree, transform = inliers(*scene(PLANTED[kind], right=n, wrong=0), kind, 5.0)
        assert agree.shape == (n,)
        assert not agree.any()
        assert transform is None


@all_kinds
def test_points_on_one_spot_or_line_are_no_geometry(kind):
    a, b = scene(PLANTED[kind], right=20, wrong=0)
    spot = np.full_like(b, 50)
    spots = spot + np.random.default_rng(0).normal(0, 0.5, b.shape).astype(np.float32)
    for left, right in ((a, spot), (spot, b), (spot, spot), (a, spots)):
        assert not inliers(left, right, kind, 5.0)[0].any()
    if kind is not Verify.similarity:  # which needs only two places
        line = np.stack([b[:, 0], np.full(20, 7, np.float32)], axis=1)
        assert not inliers(a, line, kind, 2.0)[0].any()


@all_kinds
def test_repeated_places_are_no_evidence(kind):
    """SIFT describes a place several times; one place fewer than needed settles nothing."""
    a, b = scene(PLANTED[kind], right=MINIMUM[kind] - 1, wrong=0)
    assert not inliers(np.tile(a, (5, 1)), np.tile(b, (5, 1)), kind, 5.0)[0].any()


@all_kinds
def test_a_mirror_image_does_not_agree(kind):
    a, b = scene(PLANTED[kind], right=40, wrong=0)
    assert inliers(a, b * np.float32([-1, 1]) + np.float32([300, 0]), kind, 3.0)[0].sum() < 12


@pytest.mark.parametrize(
    "bad",
    [
        [[-1, 0, 300], [0, 1, 0], [0, 0, 1]],
        [[1e-3, 0, 9], [0, 1e-3, 9], [0, 0, 1]],
        [[1e3, 0, 9], [0, 1e3, 9], [0, 0, 1]],
        [[1, 0, 0], [1, 0, 0], [0, 0, 1]],
        [[0, 0, 0], [0, 0, 0], [0, 0, 0]],
        [[np.nan, 0, 0], [0, 1, 0], [0, 0, 1]],
        [[np.inf, 0, 0], [0, 1, 0], [0, 0, 1]],
    ],
    ids=["mirrored", "collapsed", "exploded", "flattened", "zero", "nan", "infinite"],
)
def test_a_bad_homography_counts_as_none(bad, monkeypatch):
    a = np.random.default_rng(0).uniform(0, 300, (20, 2)).astype(np.float32)
    with np.errstate(all="ignore"):
        b = moved(a, bad)
    bad = np.array(bad, dtype=float)
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (bad, np.ones((20, 1), np.uint8)))
    agree, transform = inliers(a, b, Verify.homography, 5.0)
    assert not agree.any()
    assert transform is None


@pytest.mark.parametrize("places", [3, 4])
def test_agreement_needs_as_many_places_as_the_geometry(places, monkeypatch):
    a, b = scene(PLANTED[Verify.homography], right=places, wrong=0)
    found = np.array(PLANTED[Verify.homography])
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (found, None))
    agree, _ = inliers(np.tile(a, (5, 1)), np.tile(b, (5, 1)), Verify.homography, 5.0)
    assert agree.sum() == (0 if places == 3 else 20)


def test_nothing_beyond_the_horizon_agrees(monkeypatch):
    horizon = np.array([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1]])  # at x = 100
    a = np.random.default_rng(0).uniform(0, 200, (60, 2)).astype(np.float32)
    b = moved(a, horizon)
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (horizon, None))
    agree, _ = inliers(a, b, Verify.homography, 5.0)
    assert agree.tolist() == [x < 100 * (1 - 100 ** (-1 / 3)) for x in a[:, 0]]


def test_the_sign_of_a_homography_means_nothing(monkeypatch):
    a, b = scene(PLANTED[Verify.homography], right=20, wrong=0)
    good = -np.array(PLANTED[Verify.homography])
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (good, None))
    assert inliers(a, b, Verify.homography, 5.0)[0].all()


def test_opencv_finding_nothing(monkeypatch):
    a, b = scene(PLANTED[Verify.homography], right=20, wrong=0)
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (None, None))
    assert not inliers(a, b, Verify.homography, 5.0)[0].any()


@all_kinds
def test_every_call_in_every_thread_says_the_same(kind):
    sizes = [(4, 0), (0, 4), (0, 12), (6, 20), (8, 60), (20, 100), (60, 100)]
    scenes = [
        scene(PLANTED[kind], right=right, wrong=wrong, seed=seed)
        for seed in range(4)
        for right, wrong in sizes
    ]

    def call(points):
        agree, transform = inliers(*points, kind, 5.0)
        return agree.tobytes(), None if transform is None else transform.tobytes()

    expected = [call(points) for points in scenes]
    cv2.setRNGSeed(99)
    assert [call(points) for points in reversed(scenes)] == expected[::-1]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(call, scenes)) == expected
    assert module.MINIMUM.keys() == set(Verify) - {Verify.none}
