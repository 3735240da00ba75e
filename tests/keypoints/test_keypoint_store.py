"""Keypoints from the store: read in any order, with a bounded cache."""

import numpy as np

from outliers_bench.keypoints import keypoint_store as module
from outliers_bench.keypoints.keypoint_store import StoredKeypoints
from outliers_bench.keypoints.options import KeypointOptions
from outliers_bench.runtime.meter import Meter
from tests.toys import image_set, noise_images


def test_a_table_returns_the_same_with_any_cache(tmp_path, monkeypatch):
    options = KeypointOptions(max_keypoints=20)
    images = image_set([f"image-{i}" for i in range(12)], reader=noise_images(12, size=64))
    keypoints = StoredKeypoints(options, tmp_path, Meter())
    keypoints.compute(images)
    expected = [keypoints.table(images).take([row])[0] for row in range(12)]
    assert sum(map(len, expected)) > 50
    monkeypatch.setattr(module, "CACHE_BYTES", 3 * 20 * 136)
    table = keypoints.table(images)
    rng = np.random.default_rng(0)
    for _ in range(30):
        rows = rng.integers(0, 12, rng.integers(1, 9))  # may contain duplicates
        for row, keypoints_of_row in zip(rows, table.take(rows), strict=True):
            assert np.array_equal(keypoints_of_row.points, expected[row].points)
            assert np.array_equal(keypoints_of_row.descriptors, expected[row].descriptors)
        assert table._cached_bytes <= module.CACHE_BYTES
        assert table._cached_bytes == sum(len(k) * 136 for k in table._recent.values())
