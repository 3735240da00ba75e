"""Resizing, and decoding of JPEG at reduced sizes."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import decode, oversampled_side, resize
from tests.data.encoded_images import (
    STORED,
    grainy,
    gray,
    quarters,
    save,
)

PIXEL_TOLERANCE = 1.0  # of 255, mean over a resized photo


def test_shrinking_averages_pixels():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resize(stripes, 16) == 100).all()
    # Long in one direction only: averaged along it, interpolated across it.
    tall = np.zeros((64, 8, 3), np.uint8)
    tall[::2] = 200
    assert (resize(tall, 16) == 100).all()


def test_enlarging_interpolates_and_same_size_returns_same_array():
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 240
    assert resize(image, 8)[0, :, 0].tolist() == [0, 0, 30, 90, 150, 210, 240, 240]
    assert resize(image, 2) is image
    assert resize(np.zeros((5, 9, 3), np.uint8), 7).shape == (7, 7, 3)


def test_large_jpeg_is_decoded_at_reduced_size():
    import cv2

    rows, columns = np.mgrid[0:1200, 0:1600]
    picture = np.dstack([rows * 255 // 1200, columns * 255 // 1600, rows * 0 + 90]).astype("u1")
    data = cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes()
    full = decode(data, name="large.jpg")
    small = decode(data, name="large.jpg", side=140)
    assert full.shape == (1200, 1600, 3)
    assert small.shape == (150, 200, 3)
    shrunk = cv2.resize(full, (200, 150), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).max() <= 4
    assert decode(data, name="large.jpg", side=700).shape == (1200, 1600, 3)


def pixel_difference(data, size):
    """Mean pixel_difference of a photo decoded at a reduced size and whole, both squeezed."""
    small = resize(decode(data, name="x", side=oversampled_side(size)), size)
    full = resize(decode(data, name="x"), size)
    return np.abs(small.astype(int) - full).mean()


@pytest.mark.parametrize("subsampling", [0, 2], ids=["4:4:4", "4:2:0"])
@pytest.mark.parametrize("quality", [60, 92])
@pytest.mark.parametrize(
    ("width", "height", "size", "scale"),
    [
        (480, 384, 64, 2),
        (560, 400, 64, 2),
        (800, 776, 64, 4),
        (1000, 840, 64, 4),
        (800, 768, 32, 8),
    ],
)
def test_reduced_jpeg_is_within_tolerance(width, height, size, scale, quality, subsampling):
    picture = grainy(width, height)
    data = save(picture, "JPEG", quality=quality, subsampling=subsampling)
    reduced = decode(data, name="x", side=oversampled_side(size))
    assert reduced.shape == (height // scale, width // scale, 3)
    assert pixel_difference(data, size) <= PIXEL_TOLERANCE


def test_reduced_real_photos_are_within_tolerance():
    root = Path(os.environ.get("OUTLIERS_BENCH_SHARED", "nowhere"), "data", "grocery_packages")
    photos = sorted(root.rglob("*.jpg"))[:40:4]
    if not photos:
        pytest.skip("OUTLIERS_BENCH_SHARED is not a folder with photos")
    differences = []
    for photo in photos:
        data = photo.read_bytes()
        assert (
            decode(data, name="x", side=oversampled_side(48)).shape != decode(data, name="x").shape
        )
        differences.append(pixel_difference(data, 48))
    assert max(differences) <= PIXEL_TOLERANCE


def test_jpeg_is_decoded_at_full_size_if_reduction_does_not_fit():
    def shape(width, height, side):
        data = save(np.zeros((height, width, 3), np.uint8), "JPEG")
        return decode(data, name="x", side=side).shape[1::-1]

    assert shape(400, 200, 100) == (200, 100)
    assert shape(400, 200, 101) == (400, 200), "too few pixels"
    assert shape(401, 200, 100) == (401, 200), "does not divide evenly: the content would shift"
    assert shape(404, 402, 100) == (202, 201), "1/4 does not divide evenly, 1/2 does"
    assert shape(200, 400, 50) == (50, 100)
    assert oversampled_side(224) == 672


def test_only_jpegs_are_reduced():
    image = np.repeat(np.repeat(quarters(), 16, 0), 16, 1)
    for kind in ("PNG", "WEBP", "BMP", "TIFF", "GIF"):
        assert decode(save(image, kind), name="x", side=10).shape == image.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("progressive", [False, True])
def test_reduced_jpeg_is_upright(orientation, progressive):
    exif = Image.Exif()
    exif[0x112] = orientation
    stored = np.ascontiguousarray(
        STORED[orientation](np.kron(quarters(), np.ones((8, 8, 1), "u1")))
    )
    data = save(stored, "JPEG", exif=exif, quality=100, progressive=progressive)
    small = decode(data, name="x", side=32)
    assert small.flags.c_contiguous
    assert np.abs(small.astype(int) - quarters()).max() <= 8


@pytest.mark.parametrize("mode", ["L", "CMYK"])
def test_reduced_jpeg_in_gray_and_cmyk(mode):
    image = np.kron(quarters(), np.ones((8, 8, 1), np.uint8))
    data = save(Image.fromarray(image).convert(mode), "JPEG", quality=100)
    expected = np.repeat(gray(quarters())[..., None], 3, 2) if mode == "L" else quarters()
    assert np.abs(decode(data, name="x", side=32).astype(int) - expected).max() <= 8
