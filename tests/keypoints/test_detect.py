"""Keypoint detection: number, order and determinism."""

import cv2
import numpy as np
import pytest

from outliers_bench.keypoints.detect import KeypointDetector, detect
from outliers_bench.keypoints.keypoints import DESCRIPTORS, Descriptor, Keypoints
from outliers_bench.keypoints.options import Detector, KeypointOptions


def scene(size=(160, 200), seed=0):
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (size[0] // 8, size[1] // 8, 3), dtype=np.uint8)
    return cv2.resize(small, size[::-1], interpolation=cv2.INTER_CUBIC)


@pytest.mark.parametrize("detector", Detector)
def test_the_strongest_keypoints_up_to_the_maximum(detector):
    image = scene()
    many = detect(image, KeypointOptions(detector, max_keypoints=80))
    few = detect(image, KeypointOptions(detector, max_keypoints=10))
    assert 20 < len(many) <= 80
    assert 5 <= len(few) <= 10
    assert many.descriptors.shape[1] == KeypointOptions(detector).descriptor.nbytes
    if detector is not Detector.orb:  # which distributes keypoints over a pyramid
        assert len(few) == 10
        assert np.array_equal(few.points, many.points[:10])
        assert np.array_equal(few.descriptors, many.descriptors[:10])
    assert (many.points >= 0).all()
    assert (many.points < (200, 160)).all()


@pytest.mark.parametrize("detector", Detector)
@pytest.mark.parametrize("shape", [(1, 1), (15, 400), (16, 16), (16, 700), (64, 64)])
def test_images_without_content(detector, shape):
    flat = np.full((*shape, 3), 99, np.uint8)
    assert len(detect(flat, KeypointOptions(detector))) == 0
    noise = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    keypoints = detect(noise, KeypointOptions(detector))  # must not fail
    assert len(keypoints.points) == len(keypoints.descriptors)


def test_only_large_photos_are_shrunk():
    detector = KeypointDetector(KeypointOptions(longest_side=100))
    assert detector.prepare(np.zeros((300, 600, 3), np.uint8)).shape == (50, 100, 3)
    assert detector.prepare(np.zeros((3000, 1, 3), np.uint8)).shape == (100, 1, 3)
    small = np.zeros((100, 80, 3), np.uint8)
    assert detector.prepare(small) is small


def test_a_stream_preserves_order_and_equals_single_images():
    options = KeypointOptions(max_keypoints=50)
    images = [(bytes([i]), scene(seed=i)) for i in range(20)]
    embed = KeypointDetector(options).embedder(None, None, None)
    results = list(embed(iter(images)))
    assert [key for key, _ in results] == [key for key, _ in images]
    for (_, image), (_, packed) in zip(images, results, strict=True):
        alone = detect(image, options)
        unpacked = Keypoints.unpack(packed, 128)
        assert np.array_equal(unpacked.points, alone.points)
        assert np.array_equal(unpacked.descriptors, alone.descriptors)


def test_options_change_the_space():
    options = [
        KeypointOptions(),
        KeypointOptions(Detector.orb),
        KeypointOptions(max_keypoints=501),
        KeypointOptions(longest_side=641),
    ]
    spaces = [tuple(KeypointDetector(option).space().items()) for option in options]
    assert len(set(spaces)) == 4
    plain = KeypointDetector(KeypointOptions(rootsift=False)).space()
    assert tuple(plain.items()) == spaces[0]  # RootSIFT is computed from the same keypoints


def test_damaged_keypoints_are_rejected():
    with pytest.raises(ValueError, match="135 bytes"):
        Keypoints.unpack(np.zeros(135, np.uint8), 128)
    with pytest.raises(ValueError, match="points"):
        Keypoints(np.zeros((3, 2), np.float32), np.zeros((2, 128), np.uint8))


@pytest.mark.parametrize("kind", DESCRIPTORS.values(), ids=DESCRIPTORS.keys())
def test_vectors_have_unit_length(kind: Descriptor):
    rng = np.random.default_rng(1)
    vectors = kind.vectors(rng.integers(0, 256, (30, kind.nbytes), dtype=np.uint8))
    assert vectors.shape == (30, kind.dimensions)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(1, abs=1e-5)


def test_rootsift_is_the_hellinger_kernel():
    """Its inner product is that of the square roots of two normalized histograms."""
    a, b = np.zeros((2, 1, 128), np.uint8)
    a[0, :2], b[0, 1:3] = (100, 100), (50, 150)
    kind = DESCRIPTORS["rootsift"]
    similarity = float((kind.vectors(a) @ kind.vectors(b).T)[0, 0])
    assert similarity == pytest.approx(np.sqrt(0.5 * 0.25))


def test_binary_similarity_counts_bits():
    a = np.zeros((1, 32), np.uint8)
    b = a.copy()
    b[0, 0] = 0b10110000  # three of 256 differ
    kind = DESCRIPTORS["orb"]
    similarity = float((kind.vectors(a) @ kind.vectors(b).T)[0, 0])
    assert similarity == pytest.approx(1 - 2 * 3 / 256)
