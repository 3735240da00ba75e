"""Damaged, truncated, and too large images."""

import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import decode
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from tests.data.encoded_images import grainy, png, quarters, save, textured

COMPLETE = {
    "JPEG": ("JPEG", {}),
    "progressive JPEG": ("JPEG", {"progressive": True}),
    "PNG": ("PNG", {}),
    "lossy WebP": ("WEBP", {}),
    "lossless WebP": ("WEBP", {"lossless": True}),
    "GIF": ("GIF", {}),
    "BMP": ("BMP", {}),
    "TIFF": ("TIFF", {}),
}


@pytest.mark.parametrize("name", COMPLETE)
def test_truncated_files_are_unreadable(name):
    kind, options = COMPLETE[name]
    data = save(textured(), kind, **options)
    decode(data, name="complete")
    for share in (0.001, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99):
        with pytest.raises(UnreadableImageError, match=r"half\.jpg"):
            decode(data[: int(len(data) * share)], name="half.jpg")
    with pytest.raises(UnreadableImageError):
        decode(data[:-2], name="half.jpg")


def test_truncated_jpeg_with_thumbnail_or_padding_is_unreadable():
    thumbnail = save(np.asarray(Image.fromarray(textured()).resize((40, 30))), "JPEG")
    assert thumbnail.endswith(b"\xff\xd9")
    data = save(textured(), "JPEG")
    app1 = b"\xff\xe1" + struct.pack(">H", len(thumbnail) + 8) + b"Exif\0\0" + thumbnail
    data = data[:2] + app1 + data[2:]
    assert decode(data, name="complete").shape == (120, 160, 3)
    with pytest.raises(UnreadableImageError, match=r"a\.jpg: is a JPEG cut short"):
        decode(data[:-500] + bytes(500), name="a.jpg")
    # Data after the end are ignored: some cameras append a second image.
    assert decode(data + b"more", name="complete").shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "is empty"),
        (b"<html>404</html>", "is not an image of a known format"),
        (b"\xff\xd8\xff", "cut short"),
        (b"\xff\xd8\xff\xd9", "without a picture"),
        (b"GIF89a", "cut short"),
        (b"\x89PNG\r\n\x1a\n", "cut short"),
        (b"BM" + bytes(12) + b"\x28\0\0\0" + bytes(44), "damaged"),
        (b"RIFF\x10\0\0\0WEBPVP8 " + bytes(30), "damaged"),
        (b"II*\0\xff\xff\xff\x7f", "cut short"),
    ],
)
def test_invalid_images_are_reported_in_one_line(data, reason):
    with pytest.raises(UnreadableImageError, match=reason) as error:
        decode(data, name="folder/odd.jpg")
    assert str(error.value).startswith("folder/odd.jpg: ")
    assert "\n" not in str(error.value)


def test_images_of_other_kinds_are_unsupported_whatever_their_name():
    raw = b"FUJIFILMCCD-RAW 0201" + bytes(600)
    with pytest.raises(UnsupportedImageError, match=r"^a\.jpg: Fujifilm raw is not supported"):
        decode(raw, name="a.jpg")


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


def test_pixel_limit_is_configurable():
    data = save(quarters(), "PNG")
    assert decode(data, name="small", max_pixels=32 * 48).shape == (32, 48, 3)
    with pytest.raises(UnreadableImageError, match="48 x 32"):
        decode(data, name="small", max_pixels=32 * 48 - 1)


def mutated(data, count):
    """Copies with changed, lost and inserted bytes."""
    random = np.random.default_rng(len(data))
    for number in range(count):
        at, length = int(random.integers(len(data))), int(random.integers(1, 200))
        new = (b"", bytes(length), random.bytes(length), data[at : at + 1] * 2)[number % 4]
        rest = data[at + (0 if number % 8 > 3 else length) :]
        yield data[:at] + new + rest


def test_hundreds_of_damaged_files_are_one_error_each_and_print_nothing(tmp_path):
    exif = Image.Exif()
    exif[0x112] = 6
    photo = Image.fromarray(textured())
    alpha = Image.fromarray(np.dstack([textured(), textured(1)[..., :1]]))
    files = [
        save(image, kind, exif=exif)
        for image in (photo, alpha, photo.quantize(16))
        for kind in ("PNG", "WEBP", "TIFF")
    ]
    files += [save(photo, kind) for kind in ("GIF", "BMP", "JPEG")]
    files.append(save(photo, "PNG", icc_profile=bytes(200)))
    for number, data in enumerate(part for file in files for part in mutated(file, 40)):
        (tmp_path / f"{number}.jpg").write_bytes(data)
    script = """
import sys
from pathlib import Path
from outliers_bench.data.decode import decode
from outliers_bench.errors import UnreadableImageError
damaged = 0
for file in sorted(Path(sys.argv[1]).iterdir()):
    try:
        decode(file.read_bytes(), name=file.name)
    except UnreadableImageError as error:
        assert str(error).startswith(f"{file.name}: ") and len(str(error).splitlines()) == 1
        damaged += 1
print(damaged)
"""
    command = [sys.executable, "-c", script, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (done.stderr, done.returncode) == ("", 0)
    assert int(done.stdout) > 20 * len(files)


def test_damage_and_color_profiles_print_nothing():
    kinds = ("GIF", "PNG", "BMP", "TIFF", "JPEG")
    damaged = [save(quarters(), kind)[:-40] for kind in kinds]
    damaged.append(damaged[-1] + b"\xff\xd9")
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
    process = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert process.stderr == ""


def test_damaged_reduced_jpeg_is_unreadable():
    data = save(grainy(640, 480), "JPEG", quality=90)
    for end in (0.3, 0.9):
        with pytest.raises(UnreadableImageError, match="photo"):
            decode(data[: int(len(data) * end)], name="photo", side=50)
