"""Decoding of all formats to the same upright RGB."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import DECODER, decode
from tests.data.encoded_images import (
    BLUE,
    STORED,
    WHITE,
    assert_close,
    chunk,
    gray,
    over_white,
    png,
    quarters,
    rows,
    save,
    textured,
    with_alpha,
)


@pytest.mark.parametrize(
    ("kind", "options", "tolerance"),
    [
        ("JPEG", {"quality": 100, "subsampling": 0}, 3),
        ("JPEG", {"quality": 100, "subsampling": 0, "progressive": True}, 3),
        ("PNG", {}, 0),
        ("WEBP", {"lossless": True}, 0),
        ("BMP", {}, 0),
        ("GIF", {}, 0),
        ("TIFF", {}, 0),
        ("TIFF", {"compression": "tiff_lzw"}, 0),
    ],
)
def test_plain_color(kind, options, tolerance):
    image = np.repeat(np.repeat(quarters(), 2, 0), 2, 1)
    assert_close(save(image, kind, **options), image, tolerance)


def test_lossy_webp():
    image = np.full((32, 32, 3), (200, 60, 20), np.uint8)
    assert_close(save(image, "WEBP", quality=90), image, 4)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "GIF"])
def test_gray_becomes_three_equal_channels(kind):
    image = gray(quarters())
    assert_close(save(image, kind), np.repeat(image[..., None], 3, 2), 2)


def test_cmyk_jpeg():
    data = save(Image.fromarray(quarters()).convert("CMYK"), "JPEG", quality=100, subsampling=0)
    assert_close(data, quarters(), 4)


def test_black_and_white_and_palette_png():
    stripes = np.zeros((16, 16), bool)
    stripes[::2] = True
    assert_close(
        save(Image.fromarray(stripes), "PNG"),
        np.repeat(stripes[..., None] * np.uint8(255), 3, 2),
    )
    assert_close(save(Image.fromarray(quarters()).quantize(4), "PNG"), quarters())


def test_sixteen_bit_png_gray_color_and_alpha():
    ramp = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(4, 16)
    # Gray is stretched to its own range.
    expected = np.repeat((ramp / 64512 * 255).astype(np.uint8)[..., None], 3, 2)
    assert_close(png(16, 4, 16, 0, rows(ramp)), expected, 1)

    color = np.stack([ramp, ramp[::-1], ramp[:, ::-1]], 2)
    expected = (color >> 8).astype(np.uint8)
    assert_close(png(16, 4, 16, 2, rows(color.reshape(4, -1))), expected, 1)

    alpha = np.full((4, 16, 1), 65535, np.uint16)
    alpha[0] = 0
    transparent = np.dstack([color, alpha])
    expected = expected.copy()
    expected[0] = WHITE
    assert_close(png(16, 4, 16, 6, rows(transparent.reshape(4, -1))), expected, 1)


@pytest.mark.parametrize("alpha", [0, 128, 255])
@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_alpha_is_composited_over_white(kind, alpha):
    options = {"lossless": True, "exact": True} if kind == "WEBP" else {}
    assert_close(save(with_alpha(alpha), kind, **options), over_white(alpha))


def test_gray_with_alpha():
    data = save(Image.fromarray(with_alpha(0)).convert("LA"), "PNG")
    expected = np.repeat(gray(quarters())[..., None], 3, 2)
    expected[:8, :8] = 255
    assert_close(data, expected)


def test_transparent_palette_color_and_gray_value():
    palette = Image.fromarray(quarters()).quantize(3)
    index = palette.getpixel((40, 30))
    expected = quarters()
    expected[16:, 24:] = WHITE
    assert_close(save(palette, "PNG", transparency=index), expected)
    assert_close(save(palette, "GIF", transparency=index), expected)
    assert_close(save(quarters(), "PNG", transparency=BLUE), expected)

    expected = np.repeat(gray(quarters())[..., None], 3, 2)
    expected[16:, 24:] = 255
    assert_close(
        save(gray(quarters()), "PNG", transparency=int(gray(quarters())[-1, -1])), expected
    )
    # Two bits per sample: 0, 1, 2, 3 are the grays 0, 85, 170, 255; 1 is transparent.
    data = png(4, 1, 2, 0, bytes([0, 0b00011011]), chunk(b"tRNS", b"\0\1"))
    assert_close(data, np.repeat(np.uint8([0, 255, 170, 255])[None, :, None], 3, 2))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_animation(kind):
    other = Image.fromarray(255 - quarters())
    options = {"lossless": True} if kind == "WEBP" else {}
    data = save(quarters(), kind, save_all=True, append_images=[other, other], **options)
    assert_close(data, quarters())


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_orientation(kind, orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    options = {
        "JPEG": {"quality": 100, "subsampling": 0},
        "WEBP": {"lossless": True, "exact": True},
    }.get(kind, {})
    stored = np.ascontiguousarray(STORED[orientation](quarters()))
    assert_close(save(stored, kind, exif=exif, **options), quarters(), 3)
    if kind != "JPEG":
        stored = np.ascontiguousarray(STORED[orientation](with_alpha(0)))
        assert_close(save(stored, kind, exif=exif, **options), over_white(0))


def test_format_is_detected_from_content():
    data = save(quarters(), "GIF")
    np.testing.assert_array_equal(decode(data, name="photo.jpg"), quarters())


def test_decoding_is_thread_safe():
    files = [save(textured(seed), kind) for seed in range(8) for kind in ("JPEG", "PNG", "GIF")]
    once = [decode(data, name="x") for data in files]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            again = list(pool.map(lambda data: decode(data, name="x"), files))
            assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_decoder_name_does_not_import_opencv():
    assert DECODER.startswith("opencv-5.")
    assert DECODER.endswith(" area/linear, jpeg reduced to no less than 3x, rules 2")
    script = "import outliers_bench.data.decode, sys; assert 'cv2' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
