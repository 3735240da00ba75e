"""Every format a photo comes in decodes to the same upright RGB; damage is told, not guessed at."""

import io
import os
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import DECODER, decode, oversampled, resize
from outliers_bench.errors import UnreadableImageError

RED, GREEN, BLUE, WHITE = (255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 255)


def quarters(height=32, width=48):
    """Red above, green and blue below: no two of its eight orientations look alike."""
    image = np.empty((height, width, 3), np.uint8)
    image[: height // 2] = RED
    image[height // 2 :, : width // 2] = GREEN
    image[height // 2 :, width // 2 :] = BLUE
    return image


def save(image, kind, **options):
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def with_alpha(alpha):
    """`quarters` with the top left corner as transparent as asked (0 to 255)."""
    image = np.dstack([quarters(), np.full((32, 48), 255, np.uint8)])
    image[:8, :8, 3] = alpha
    return image


def over_white(alpha):
    expected = quarters()
    # Red over white: the red channel stays full, the others fade in.
    expected[:8, :8] = (255, 255 - alpha, 255 - alpha)
    return expected


def gray(image):
    return np.asarray(Image.fromarray(image).convert("L"))


def assert_close(data, expected, tolerance=0):
    image = decode(data, name="photo")
    assert image.dtype == np.uint8
    assert image.shape == expected.shape
    assert image.flags.c_contiguous
    assert np.abs(image.astype(int) - expected).max() <= tolerance


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


def png(width, height, bits, color, samples, extra=b"", *, end=True):
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0))
        + extra
        + chunk(b"IDAT", zlib.compress(samples))
        + (chunk(b"IEND", b"") if end else b"")
    )


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def rows(samples):
    """PNG scan lines: a filter byte, then big-endian samples."""
    return b"".join(b"\0" + row.astype(">u2").tobytes() for row in samples)


def test_sixteen_bit_png_gray_color_and_alpha():
    ramp = np.arange(0, 65536, 1024, dtype=np.uint16).reshape(4, 16)
    expected = np.repeat((ramp >> 8).astype(np.uint8)[..., None], 3, 2)
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
def test_alpha_is_laid_over_white(kind, alpha):
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
    # Two bits a sample: 0, 1, 2, 3 are the grays 0, 85, 170, 255; 1 is transparent.
    data = png(4, 1, 2, 0, bytes([0, 0b00011011]), chunk(b"tRNS", b"\0\1"))
    assert_close(data, np.repeat(np.uint8([0, 255, 170, 255])[None, :, None], 3, 2))


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_first_frame_of_an_animation(kind):
    other = Image.fromarray(255 - quarters())
    options = {"lossless": True} if kind == "WEBP" else {}
    data = save(quarters(), kind, save_all=True, append_images=[other, other], **options)
    assert_close(data, quarters())


STORED = {
    # orientation: how the camera must have stored the upright picture, worked out by hand from
    # "row 0 is the visual ..., column 0 is the visual ..." of the EXIF standard.
    1: lambda a: a,  # top, left
    2: lambda a: a[:, ::-1],  # top, right
    3: lambda a: a[::-1, ::-1],  # bottom, right
    4: lambda a: a[::-1],  # bottom, left
    5: lambda a: a.swapaxes(0, 1),  # left, top
    6: lambda a: a[:, ::-1].swapaxes(0, 1),  # right, top
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),  # right, bottom
    8: lambda a: a[::-1].swapaxes(0, 1),  # left, bottom
}


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


def textured(seed=0):
    random = np.random.default_rng(seed)
    small = Image.fromarray(random.integers(0, 255, (30, 40, 3), dtype=np.uint8))
    return np.asarray(small.resize((160, 120)))


WHOLE = {
    "JPEG": ("JPEG", {}),
    "progressive JPEG": ("JPEG", {"progressive": True}),
    "PNG": ("PNG", {}),
    "lossy WebP": ("WEBP", {}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {}),
}


@pytest.mark.parametrize("name", WHOLE)
def test_a_file_cut_anywhere_is_unreadable(name):
    kind, options = WHOLE[name]
    data = save(textured(), kind, **options)
    decode(data, name="whole")
    for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        with pytest.raises(UnreadableImageError, match=r"half\.jpg"):
            decode(data[: int(len(data) * share)], name="half.jpg")
    with pytest.raises(UnreadableImageError):
        decode(data[:-2], name="half.jpg")


def test_a_jpeg_is_cut_even_if_its_thumbnail_is_whole_or_zeros_follow():
    thumbnail = save(np.asarray(Image.fromarray(textured()).resize((40, 30))), "JPEG")
    assert thumbnail.endswith(b"\xff\xd9")
    data = save(textured(), "JPEG")
    app1 = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    data = data[:2] + app1 + data[2:]
    assert decode(data, name="whole").shape == (120, 160, 3)
    with pytest.raises(UnreadableImageError, match=r"a\.jpg: is a JPEG cut short"):
        decode(data[:-500] + bytes(500), name="a.jpg")
    # What follows the end is none of our business: some cameras append a second picture.
    assert decode(data + b"more", name="whole").shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is not a JPEG, PNG"),
        (b"\xff\xd8\xff", "cut short"),
        (b"\xff\xd8\xff\xd9", "without a picture"),
        (b"GIF89a", "cut short"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"BM" + bytes(60), "damaged"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(30), "damaged"),
        (b"II*\0\xff\xff\xff\x7f", "cut short"),
    ],
)
def test_what_is_no_image_is_told_in_one_line(data, why):
    with pytest.raises(UnreadableImageError, match=why) as error:
        decode(data, name="dir/odd.jpg")
    assert str(error.value).startswith("dir/odd.jpg: ")
    assert "\n" not in str(error.value)


def test_content_counts_and_not_the_extension():
    data = save(quarters(), "GIF")
    np.testing.assert_array_equal(decode(data, name="photo.jpg"), quarters())


@pytest.mark.parametrize(
    "bomb",
    [
        png(60000, 60000, 8, 2, bytes(100)),
        b"GIF89a\xff\xff\xff\xff" + bytes(20),
        b"\xff\xd8\xff\xc0\0\x11\x08\xff\xff\xff\xff\x03" + bytes(9) + b"\xff\xda\0\2\0\xff\xd9",
        b"BM" + bytes(12) + struct.pack("<Iii", 40, 100_000, -100_000) + bytes(40),
        b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\xff\xff\x0f\xff\xff\x0f" + bytes(20),
    ],
    ids=["PNG", "GIF", "JPEG", "BMP", "WebP"],
)
def test_too_many_pixels_are_refused_before_decoding(bomb):
    with pytest.raises(
        UnreadableImageError, match=r"bomb: has \d+ x \d+ pixels, more than 134,217"
    ):
        decode(bomb, name="bomb")


def test_the_limit_can_be_lower():
    data = save(quarters(), "PNG")
    assert decode(data, name="small", max_pixels=32 * 48).shape == (32, 48, 3)
    with pytest.raises(UnreadableImageError, match="48 x 32"):
        decode(data, name="small", max_pixels=32 * 48 - 1)


def test_nothing_is_printed_about_damage_or_profiles():
    kinds = ("GIF", "PNG", "BMP", "TIFF", "JPEG")
    damaged = [save(quarters(), kind)[:-40] for kind in kinds]
    profile = save(quarters(), "PNG", icc_profile=bytes(200))
    script = f"""
from outliers_bench.data.decode import decode
from outliers_bench.errors import BenchError
decode({profile!r}, name="x")
for data in {damaged!r}:
    try:
        decode(data, name="x")
    except BenchError:
        continue
    raise SystemExit("decoded")
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stderr == ""


def test_many_threads_decode_the_same():
    files = [save(textured(seed), kind) for seed in range(8) for kind in ("JPEG", "PNG", "GIF")]
    once = [decode(data, name="x") for data in files]
    with ThreadPoolExecutor(8) as pool:
        for _ in range(3):
            again = list(pool.map(lambda data: decode(data, name="x"), files))
            assert all(np.array_equal(a, b) for a, b in zip(once, again, strict=True))


def test_shrinking_averages_instead_of_skipping():
    stripes = np.zeros((64, 64, 3), np.uint8)
    stripes[:, ::2] = 200
    assert (resize(stripes, 16) == 100).all()
    # Long in one direction only: averaged along it, interpolated across.
    tall = np.zeros((64, 8, 3), np.uint8)
    tall[::2] = 200
    assert (resize(tall, 16) == 100).all()


def test_enlarging_interpolates_and_the_same_size_is_the_same_image():
    image = np.zeros((2, 2, 3), np.uint8)
    image[:, 1] = 240
    assert resize(image, 8)[0, :, 0].tolist() == [0, 0, 30, 90, 150, 210, 240, 240]
    assert resize(image, 2) is image
    assert resize(np.zeros((5, 9, 3), np.uint8), 7).shape == (7, 7, 3)


def test_the_decoder_is_named_without_loading_it():
    assert DECODER.startswith("opencv-5.")
    assert DECODER.endswith(" area/linear, jpeg reduced to no less than 3x")
    script = "import outliers_bench.data.decode, sys; assert 'cv2' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_a_large_jpeg_to_be_looked_at_is_decoded_small():
    import cv2

    rows, columns = np.mgrid[0:1200, 0:1600]
    picture = np.dstack([rows * 255 // 1200, columns * 255 // 1600, rows * 0 + 90]).astype("u1")
    data = cv2.imencode(".jpg", picture[..., ::-1])[1].tobytes()
    whole = decode(data, name="large.jpg")
    small = decode(data, name="large.jpg", side=140)
    assert whole.shape == (1200, 1600, 3)
    assert small.shape == (150, 200, 3)
    shrunk = cv2.resize(whole, (200, 150), interpolation=cv2.INTER_AREA)
    assert np.abs(shrunk.astype(int) - small).max() <= 4
    assert decode(data, name="large.jpg", side=700).shape == (1200, 1600, 3)


def grainy(width, height, *, grain=4.0, seed=0):
    """A picture with shapes, edges and grain of several sizes, as a camera's sensor makes it."""
    import cv2

    random = np.random.default_rng(seed)
    shapes = random.integers(0, 255, (9, 12, 3), dtype=np.uint8)
    picture = cv2.resize(shapes, (width, height), interpolation=cv2.INTER_CUBIC)
    for _ in range(8):
        corner, other = random.integers(0, (width, height), (2, 2)).tolist()
        color = random.integers(0, 255, 3).tolist()
        cv2.rectangle(picture, corner, other, color, thickness=max(2, height // 40))
    noise = np.zeros((height, width, 3), np.float32)
    for octave in (1, 2, 4, 8):
        rough = random.standard_normal((height // octave, width // octave, 3), dtype=np.float32)
        noise += cv2.resize(rough, (width, height), interpolation=cv2.INTER_LINEAR)
    return np.clip(picture + grain / 2 * noise, 0, 255).astype(np.uint8)


PIXEL_TOLERANCE = 1.0  # of 255, on average over a squeezed photo


def difference(data, size):
    """Mean difference of a photo decoded at a reduced size and whole, both squeezed."""
    small = resize(decode(data, name="x", side=oversampled(size)), size)
    whole = resize(decode(data, name="x"), size)
    return np.abs(small.astype(int) - whole).mean()


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
def test_a_reduced_jpeg_is_the_same_within_the_tolerance(
    width, height, size, scale, quality, subsampling
):
    picture = grainy(width, height)
    data = save(picture, "JPEG", quality=quality, subsampling=subsampling)
    reduced = decode(data, name="x", side=oversampled(size))
    assert reduced.shape == (height // scale, width // scale, 3)
    assert difference(data, size) <= PIXEL_TOLERANCE


def test_real_photos_reduced_are_the_same_within_the_tolerance():
    root = Path(os.environ.get("OUTLIERS_BENCH_SHARED", "nowhere"), "data", "grocery_packages")
    photos = sorted(root.rglob("*.jpg"))[:40:4]
    if not photos:
        pytest.skip("OUTLIERS_BENCH_SHARED names no folder with photos")
    differences = []
    for photo in photos:
        data = photo.read_bytes()
        assert decode(data, name="x", side=oversampled(48)).shape != decode(data, name="x").shape
        differences.append(difference(data, 48))
    assert max(differences) <= PIXEL_TOLERANCE


def test_a_jpeg_is_decoded_whole_where_a_reduced_size_would_not_do():
    def shape(width, height, side):
        data = save(np.zeros((height, width, 3), np.uint8), "JPEG")
        return decode(data, name="x", side=side).shape[1::-1]

    assert shape(400, 200, 100) == (200, 100)
    assert shape(400, 200, 101) == (400, 200), "too few pixels"
    assert shape(401, 200, 100) == (401, 200), "does not divide: the picture would shift"
    assert shape(404, 402, 100) == (202, 201), "a quarter does not divide, a half does"
    assert shape(200, 400, 50) == (50, 100)
    assert oversampled(224) == 672


def test_only_jpegs_are_reduced():
    image = np.repeat(np.repeat(quarters(), 16, 0), 16, 1)
    for kind in ("PNG", "WEBP", "BMP", "TIFF", "GIF"):
        assert decode(save(image, kind), name="x", side=10).shape == image.shape


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("progressive", [False, True])
def test_a_reduced_jpeg_is_upright(orientation, progressive):
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
def test_a_reduced_jpeg_of_other_colors(mode):
    image = np.kron(quarters(), np.ones((8, 8, 1), np.uint8))
    data = save(Image.fromarray(image).convert(mode), "JPEG", quality=100)
    expected = np.repeat(gray(quarters())[..., None], 3, 2) if mode == "L" else quarters()
    assert np.abs(decode(data, name="x", side=32).astype(int) - expected).max() <= 8


def test_a_reduced_jpeg_that_is_damaged_is_unreadable():
    data = save(grainy(640, 480), "JPEG", quality=90)
    for end in (0.3, 0.9):
        with pytest.raises(UnreadableImageError, match="photo"):
            decode(data[: int(len(data) * end)], name="photo", side=50)
