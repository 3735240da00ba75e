"""Thumbnails made while images are decoded for another purpose."""

from __future__ import annotations

from contextlib import suppress

import numpy as np
import pytest

from outliers_bench.duplicates.find import find_pairs
from outliers_bench.duplicates.thumbnails import (
    DECODED_SIDE,
    SIDE,
    load_or_make_thumbnails,
    share_decodings,
)
from outliers_bench.errors import UnreadableImageError
from tests.duplicates.synthetic_photos import crop_sides, encode_jpeg, make_image_set, make_photo

ARRAYS = {f"photo {seed}": make_photo(seed) for seed in range(6)}
ARRAYS["edited"] = encode_jpeg(crop_sides(ARRAYS["photo 0"], 0.05), 60)
ARRAYS["tiny"] = make_photo(9, height=SIDE - 1, width=SIDE)


def read_all(images, *, side):
    for row in range(len(images)):
        images.read(row, side=side)


@pytest.mark.parametrize("side", [None, DECODED_SIDE, 3 * DECODED_SIDE])
def test_a_decoding_for_another_purpose_makes_the_thumbnail(tmp_path, side):
    images = make_image_set(ARRAYS)
    expected = load_or_make_thumbnails(images, tmp_path / "alone")
    with share_decodings(images, tmp_path) as shared:
        read_all(shared, side=side)
        read_all(shared, side=side)  # further views of the same images
    images.reader.decoded.clear()
    thumbnails = load_or_make_thumbnails(images, tmp_path)
    assert images.reader.decoded == []
    np.testing.assert_array_equal(thumbnails.gray, expected.gray)
    np.testing.assert_array_equal(thumbnails.rows, expected.rows)
    assert thumbnails.not_compared == expected.not_compared != {}


def test_duplicates_are_the_same_and_only_candidates_are_decoded_again(tmp_path):
    images = make_image_set(ARRAYS)
    expected = find_pairs(images, cache=tmp_path / "alone")
    with share_decodings(images, tmp_path) as shared:
        read_all(shared, side=None)
    images.reader.decoded.clear()
    assert find_pairs(images, cache=tmp_path) == expected
    assert set(images.reader.decoded) >= {"photo 0", "edited"}
    assert len(images.reader.decoded) < len(ARRAYS)


def test_images_decoded_too_small_get_no_thumbnail(tmp_path):
    images = make_image_set(ARRAYS)
    with share_decodings(images, tmp_path) as shared:
        read_all(shared, side=DECODED_SIDE - 1)
    images.reader.decoded.clear()
    load_or_make_thumbnails(images, tmp_path)
    assert sorted(images.reader.decoded) == sorted(ARRAYS)


def test_thumbnails_made_before_an_error_are_stored(tmp_path):
    images = make_image_set(ARRAYS)
    with suppress(MemoryError), share_decodings(images, tmp_path) as shared:
        shared.read(0)
        raise MemoryError
    images.reader.decoded.clear()
    load_or_make_thumbnails(images, tmp_path)
    assert sorted(images.reader.decoded) == sorted(set(ARRAYS) - {"photo 0"})


def test_an_unreadable_image_stays_an_error_of_its_reader(tmp_path):
    images = make_image_set(ARRAYS)
    del images.reader.arrays["photo 1"]
    with share_decodings(images, tmp_path) as shared, pytest.raises(UnreadableImageError):
        shared.read(1)
    assert list(load_or_make_thumbnails(images, tmp_path).unreadable) == [1]
