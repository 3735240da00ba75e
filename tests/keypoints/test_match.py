"""Keypoint matching: examples by hand, comparison with a reference and with OpenCV."""

import cv2
import numpy as np
import pytest

from outliers_bench.keypoints.keypoints import DESCRIPTORS, Keypoints
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.options import MatchOptions
from tests.keypoints.match_helpers import (
    Images,
    by_kind,
    images,
    match_images,
    match_keypoints,
    reference_match,
)


def angles(*degrees):
    radians = np.deg2rad(degrees)
    return np.stack([np.cos(radians), np.sin(radians)], axis=1).astype(np.float32)


def test_match_by_hand():
    query, gallery = angles(0, 50, 88), angles(10, 90)
    # 0 deg: 10 off against 90 off. 50: 40 off from both ends. 88: 2 off against 78 off.
    pairs, s = match_pair(query, gallery, options=MatchOptions(ratio=0.8), power=2)
    assert pairs.tolist() == [[0, 0], [2, 1]]
    assert np.allclose(s, np.cos(np.deg2rad([10, 2])), atol=1e-3)


def test_the_more_similar_of_two_matches_of_a_keypoint_remains():
    query, gallery = angles(20, 5, 85), angles(0, 90)
    pairs, _ = match_pair(query, gallery, options=MatchOptions(ratio=0.8), power=2)
    assert pairs.tolist() == [[1, 0], [2, 1]]


def test_cross_check_needs_mutual_nearest_neighbors():
    # 0 deg is clearly nearest to 30; but 30's nearest is 40, which fails its own test.
    query, gallery = angles(0, 40), angles(30, 51)
    one_way, _ = match_pair(query, gallery, options=MatchOptions(ratio=0.8), power=2)
    mutual, _ = match_pair(
        query, gallery, options=MatchOptions(ratio=0.8, cross_check=True), power=2
    )
    assert one_way.tolist() == [[0, 0]]
    assert mutual.tolist() == []


@pytest.mark.parametrize("options", [MatchOptions(), MatchOptions(ratio=1, cross_check=True)])
def test_no_keypoints_and_one(options):
    none, one, opposite = angles()[:0], angles(10), -angles(10)
    none = none.reshape(0, 2)
    for a, b in ((none, none), (none, one), (one, none)):
        pairs, s = match_pair(a, b, options=options, power=2)
        assert pairs.shape == (0, 2)
        assert s.shape == (0,)
    pairs, s = match_pair(one, one, options=options, power=2)
    assert pairs.tolist() == [[0, 0]]
    assert s == pytest.approx(1, abs=1e-3)
    assert not len(match_pair(one, opposite, options=options, power=2)[0])
    # 60 deg off: 0.5 < 0.64 against an unrelated second; 70 deg: 0.66 is too far.
    lone = [len(match_pair(one, angles(10 + d), options=options, power=2)[0]) for d in (60, 70)]
    assert lone == ([1, 1] if options.ratio == 1 else [1, 0])


def test_ratio_test_is_not_affected_by_rounding():
    """15 of 256 bits are not less than 0.6 times 25, though in float32 they are; 14 are."""
    kind = DESCRIPTORS["orb"]
    points = np.zeros((2, 2), dtype=np.float32)
    query = Keypoints(points[:1], np.zeros((1, 32), dtype=np.uint8))
    for nearest, expected in ((15, 0), (14, 1)):
        bits = np.stack([np.arange(256) < nearest, np.arange(256) >= 256 - 25])
        gallery = Keypoints(points, np.packbits(bits, axis=1))
        assert len(match_keypoints(kind, query, gallery, MatchOptions(ratio=0.6))) == expected


def test_flat_patches_do_not_match():
    kind = DESCRIPTORS["sift"]
    flat = Keypoints(np.zeros((3, 2), np.float32), np.zeros((3, 128), np.uint8))
    (other,) = images(kind, [20], seed=1)
    assert (
        match_keypoints(kind, flat, flat)
        == match_keypoints(kind, other, flat)
        == match_keypoints(kind, flat, other)
        == {}
    )
    _, scores = match_images(kind, Images([flat]), Images([flat, other]))
    assert (scores > 0).all()
    assert (scores < 1).all()


@by_kind
@pytest.mark.parametrize("mutual", [False, True])
@pytest.mark.parametrize("ratio", [0.7, 0.8, 0.95, 1])
def test_against_the_reference(kind, ratio, mutual):
    options = MatchOptions(ratio=ratio, cross_check=mutual)
    queries = images(kind, [0, 1, 2, 17, 40], seed=2)
    gallery = images(kind, [25, 0, 1, 2, 3, 11, 9, 10, 60, 1, 33], seed=3)
    gallery.append(gallery[0])
    indices, scores = match_images(kind, queries, Images(gallery), options)
    total = 0
    for i, query in enumerate(queries):
        expected = [reference_match(kind, query, image, options) for image in gallery]
        for image, (pairs, _) in zip(gallery, expected, strict=True):
            assert match_keypoints(kind, query, image, options) == pairs
            total += len(pairs)
        values = np.array([score for _, score in expected])
        best = np.argsort(-values, kind="stable")
        assert indices[i].tolist() == best.tolist()
        assert scores[i].tolist() == values[best].tolist()
    assert total > 40


@by_kind
def test_against_opencv(kind):
    query, gallery = images(kind, [300, 200], seed=4)
    norm = cv2.NORM_HAMMING if kind.bits else cv2.NORM_L2
    descriptors = (
        (query.descriptors, gallery.descriptors)
        if kind.bits
        else (kind.vectors(query.descriptors), kind.vectors(gallery.descriptors))
    )
    expected, close = {}, set()
    for first, second in cv2.BFMatcher(norm).knnMatch(*descriptors, k=2):
        # Rounding to integers may change the result of such close ratios.
        if not kind.bits and abs(first.distance - 0.8 * second.distance) < 2e-3:
            close.add(first.trainIdx)
        if first.distance < 0.8 * second.distance:
            rivals = expected.setdefault(first.trainIdx, [])
            rivals.append((first.distance, first.queryIdx))
    assert len(expected) > 10
    assert len(close) < 10
    result = {j: i for i, j in match_keypoints(kind, query, gallery) if j not in close}
    assert result == {j: min(rivals)[1] for j, rivals in expected.items() if j not in close}
