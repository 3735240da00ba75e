"""Geometric verification: planted and degenerate geometries, determinism."""

from concurrent.futures import ThreadPoolExecutor

import cv2
import numpy as np
import pytest

from outliers_bench.keypoints import verify as module
from outliers_bench.keypoints.options import Verify
from outliers_bench.keypoints.verify import MINIMUM, find_inliers

PLANTED = {
    Verify.homography: [[0.9, 0.1, 10], [-0.1, 0.95, 25], [2e-4, 3e-4, 1]],
    Verify.affine: [[1.2, 0.3, 10], [-0.1, 0.8, 25], [0, 0, 1]],
    Verify.similarity: [[0.8, 0.3, 10], [-0.3, 0.8, 25], [0, 0, 1]],
}
all_kinds = pytest.mark.parametrize("kind", list(MINIMUM), ids=lambda kind: kind.name)


def transform_points(points, matrix):
    transform_points = np.column_stack([points, np.ones(len(points))]) @ np.transpose(matrix)
    return (transform_points[:, :2] / transform_points[:, 2:]).astype(np.float32)


def scene(matrix, *, right, wrong, seed=0, noise=0.5):
    """Create matches, the first `right` of which is_inlier with the matrix."""
    rng = np.random.default_rng(seed)
    a = rng.uniform(0, 300, (right + wrong, 2)).astype(np.float32)
    b = rng.uniform(0, 300, (right + wrong, 2)).astype(np.float32)
    b[:right] = transform_points(a[:right], matrix) + rng.normal(0, noise, (right, 2)).clip(-2, 2)
    return a, b


@all_kinds
def test_finds_the_planted_geometry(kind):
    a, b = scene(PLANTED[kind], right=30, wrong=40)
    is_inlier, transform = find_inliers(a, b, kind, 5.0)
    assert is_inlier.dtype == bool
    assert is_inlier[:30].mean() > 0.9
    assert is_inlier[30:].sum() <= 3
    assert transform.shape == (3, 3)
    errors = transform_points(a[:30], transform) - transform_points(a[:30], PLANTED[kind])
    assert np.abs(errors).max() < 5


@all_kinds
def test_errors_of_inliers_are_within_the_threshold(kind):
    a, b = scene(PLANTED[kind], right=40, wrong=40, noise=1.5, seed=1)
    for threshold in (1.0, 3.0, 8.0):
        is_inlier, transform = find_inliers(a, b, kind, threshold)
        assert is_inlier.any()
        errors = np.linalg.norm(transform_points(a, transform) - b, axis=1)
        assert (errors[is_inlier] <= threshold + 1e-3).all()


def test_a_similarity_does_not_shear():
    a, b = scene([[1.6, 0, 0], [0, 0.6, 0], [0, 0, 1]], right=40, wrong=0)
    assert find_inliers(a, b, Verify.affine, 3.0)[0].sum() > 35
    assert find_inliers(a, b, Verify.similarity, 3.0)[0].sum() < 20


@all_kinds
def test_too_few_matches(kind):
    for n in range(MINIMUM[kind]):
        is_inlier, transform = find_inliers(*scene(PLANTED[kind], right=n, wrong=0), kind, 5.0)
        assert is_inlier.shape == (n,)
        assert not is_inlier.any()
        assert transform is None


@all_kinds
def test_points_on_one_position_or_line_are_rejected(kind):
    a, b = scene(PLANTED[kind], right=20, wrong=0)
    spot = np.full_like(b, 50)
    spots = spot + np.random.default_rng(0).normal(0, 0.5, b.shape).astype(np.float32)
    for left, right in ((a, spot), (spot, b), (spot, spot), (a, spots)):
        assert not find_inliers(left, right, kind, 5.0)[0].any()
    if kind is not Verify.similarity:  # needs only two positions
        line = np.stack([b[:, 0], np.full(20, 7, np.float32)], axis=1)
        assert not find_inliers(a, line, kind, 2.0)[0].any()


@all_kinds
def test_repeated_positions_are_rejected(kind):
    """SIFT may describe a position several times, which does not replace distinct positions."""
    a, b = scene(PLANTED[kind], right=MINIMUM[kind] - 1, wrong=0)
    assert not find_inliers(np.tile(a, (5, 1)), np.tile(b, (5, 1)), kind, 5.0)[0].any()


@all_kinds
def test_a_mirrored_image_is_rejected(kind):
    a, b = scene(PLANTED[kind], right=40, wrong=0)
    assert find_inliers(a, b * np.float32([-1, 1]) + np.float32([300, 0]), kind, 3.0)[0].sum() < 12


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
def test_a_degenerate_homography_is_rejected(bad, monkeypatch):
    a = np.random.default_rng(0).uniform(0, 300, (20, 2)).astype(np.float32)
    with np.errstate(all="ignore"):
        b = transform_points(a, bad)
    bad = np.array(bad, dtype=float)
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (bad, np.ones((20, 1), np.uint8)))
    is_inlier, transform = find_inliers(a, b, Verify.homography, 5.0)
    assert not is_inlier.any()
    assert transform is None


@pytest.mark.parametrize("positions", [3, 4])
def test_inliers_need_as_many_distinct_positions_as_the_geometry(positions, monkeypatch):
    a, b = scene(PLANTED[Verify.homography], right=positions, wrong=0)
    homography = np.array(PLANTED[Verify.homography])
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (homography, None))
    is_inlier, _ = find_inliers(np.tile(a, (5, 1)), np.tile(b, (5, 1)), Verify.homography, 5.0)
    assert is_inlier.sum() == (0 if positions == 3 else 20)


def test_points_beyond_the_horizon_are_rejected(monkeypatch):
    horizon = np.array([[1, 0, 0], [0, 1, 0], [-0.01, 0, 1]])  # at x = 100
    a = np.random.default_rng(0).uniform(0, 200, (60, 2)).astype(np.float32)
    b = transform_points(a, horizon)
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (horizon, None))
    is_inlier, _ = find_inliers(a, b, Verify.homography, 5.0)
    assert is_inlier.tolist() == [x < 100 * (1 - 100 ** (-1 / 3)) for x in a[:, 0]]


def test_the_sign_of_a_homography_is_ignored(monkeypatch):
    a, b = scene(PLANTED[Verify.homography], right=20, wrong=0)
    good = -np.array(PLANTED[Verify.homography])
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (good, None))
    assert find_inliers(a, b, Verify.homography, 5.0)[0].all()


def test_no_homography_from_opencv(monkeypatch):
    a, b = scene(PLANTED[Verify.homography], right=20, wrong=0)
    monkeypatch.setattr(cv2, "findHomography", lambda *_, **__: (None, None))
    assert not find_inliers(a, b, Verify.homography, 5.0)[0].any()


@all_kinds
def test_results_are_the_same_in_every_call_and_thread(kind):
    sizes = [(4, 0), (0, 4), (0, 12), (6, 20), (8, 60), (20, 100), (60, 100)]
    scenes = [
        scene(PLANTED[kind], right=right, wrong=wrong, seed=seed)
        for seed in range(4)
        for right, wrong in sizes
    ]

    def call(points):
        is_inlier, transform = find_inliers(*points, kind, 5.0)
        return is_inlier.tobytes(), None if transform is None else transform.tobytes()

    expected = [call(points) for points in scenes]
    cv2.setRNGSeed(99)
    assert [call(points) for points in reversed(scenes)] == expected[::-1]
    with ThreadPoolExecutor(4) as pool:
        for _ in range(3):
            assert list(pool.map(call, scenes)) == expected
    assert module.MINIMUM.keys() == set(Verify) - {Verify.none}
