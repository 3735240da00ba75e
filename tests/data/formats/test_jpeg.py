"""JPEG: damage that an end marker hides, what is harmless, and the same pixels as OpenCV's."""

import io
import re

import cv2
import numpy as np
import pytest
from PIL import Image

from outliers_bench.data.decode import decode
from outliers_bench.data.formats.jpeg_markers import MAX_SCANS
from outliers_bench.errors import UnreadableImageError, UnsupportedImageError
from tests.data.encoded_images import STORED, grainy, quarters, save, textured

END = b"\xff\xd9"
PHOTO = grainy(320, 240, seed=3)
CODINGS = {
    "baseline": {},
    "optimized": {"optimize": True},
    "progressive": {"progressive": True},
    "restart markers": {"restart_marker_rows": 1},
    "4:4:4": {"subsampling": 0},
}
DAMAGE = {
    "half, then an end marker": lambda d: d[: len(d) // 2] + END,
    "half, then a preview": lambda d: d[: len(d) // 2] + save(textured(), "JPEG"),
    "zeros up to the end": lambda d: d[: len(d) // 2] + bytes(len(d) // 2 - 2) + END,
    "a block of zeros": lambda d: d[: len(d) // 2] + bytes(4096) + d[len(d) // 2 + 4096 :],
    "a lost block": lambda d: d[: len(d) // 2] + d[len(d) // 2 + 4096 :],
    "a block of another file": lambda d: (
        d[: len(d) // 2] + np.random.default_rng(0).bytes(4096) + d[len(d) // 2 + 4096 :]
    ),
}


@pytest.mark.parametrize("side", [None, 60])
@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("coding", CODINGS)
def test_damage_is_seen_in_spite_of_an_end_marker(coding, damage, side):
    intact = save(PHOTO, "JPEG", quality=90, **CODINGS[coding])
    decode(intact, name="intact", side=side)
    damaged = DAMAGE[damage](intact)
    assert damaged.endswith(END)
    with pytest.raises(UnreadableImageError, match=r"^c0/a\.jpg: is a (damaged )?JPEG[^\n]+$"):
        decode(damaged, name="c0/a.jpg", side=side)


def test_a_missing_scan_is_seen():
    intact = save(PHOTO, "JPEG", progressive=True)
    scans = [found.start() for found in re.finditer(rb"\xff\xda", intact)]
    assert len(scans) > 5
    for at in scans[1:]:
        with pytest.raises(UnreadableImageError, match=r"damaged JPEG \(scans are missing\)"):
            decode(intact[:at] + END, name="a.jpg")


def test_thousands_of_scans_are_refused_before_decoding():
    intact = save(PHOTO, "JPEG", progressive=True)
    last = intact.rindex(b"\xff\xda")
    many = intact[:last] + intact[last:-2] * (MAX_SCANS + 1) + END
    with pytest.raises(UnreadableImageError, match=f"more than {MAX_SCANS} scans"):
        decode(many, name="a.jpg")


def opencv(data, flags=cv2.IMREAD_COLOR_RGB):
    return cv2.imdecode(np.frombuffer(data, np.uint8), flags)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize("coding", CODINGS)
def test_pixels_are_those_of_opencv(coding, mode):
    data = save(Image.fromarray(PHOTO).convert(mode), "JPEG", **CODINGS[coding])
    np.testing.assert_array_equal(decode(data, name="a"), opencv(data))
    for scale in (2, 4, 8):
        flags = getattr(cv2, f"IMREAD_REDUCED_GRAYSCALE_{scale}") | cv2.IMREAD_COLOR_RGB
        reduced = decode(data, name="a", side=240 // scale)
        assert reduced.shape == (240 // scale, 320 // scale, 3)
        if scale > 1 and not (mode == "CMYK" and coding != "4:4:4"):
            np.testing.assert_array_equal(reduced, opencv(data, flags))


@pytest.mark.parametrize("sampling", ["411", "420", "422", "440", "444"])
def test_every_subsampling(sampling):
    factor = getattr(cv2, f"IMWRITE_JPEG_SAMPLING_FACTOR_{sampling}")
    flags = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, factor]
    data = cv2.imencode(".jpg", PHOTO[..., ::-1], flags)[1].tobytes()
    np.testing.assert_array_equal(decode(data, name="a"), opencv(data))


def test_a_subsampling_that_libjpeg_turbo_has_no_name_for():
    """Pillow subsamples CMYK so; the key is as coarse as the colors."""
    data = save(Image.fromarray(PHOTO).convert("CMYK"), "JPEG", subsampling=2)
    np.testing.assert_array_equal(decode(data, name="a"), opencv(data))
    with pytest.raises(UnreadableImageError, match="cut short"):
        decode(data[: len(data) // 2], name="a")


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_reduced_and_gray_photos(orientation):
    exif = Image.Exif()
    exif[0x112] = orientation
    upright = quarters(320, 480)
    stored = np.ascontiguousarray(STORED[orientation](upright))
    for image in (Image.fromarray(stored), Image.fromarray(stored).convert("L")):
        expected = np.asarray(Image.fromarray(upright).convert(image.mode).convert("RGB"))
        decoded = decode(save(image, "JPEG", quality=100, exif=exif), name="a", side=80)
        assert decoded.flags.c_contiguous
        assert np.abs(decoded.astype(int) - expected[::4, ::4]).max() <= 3


def with_bytes(data, at, new):
    return data[:at] + new + data[at + len(new) :]


def adobe(transform):
    return b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])


HARMLESS = {
    "thumbnail and preview": lambda d: (
        d[:2]
        + b"\xff\xed\x40\0"
        + save(textured(), "JPEG").ljust(0x3FFE)
        + d[2:]
        + save(textured(1), "JPEG")
    ),
    "padding before the end marker": lambda d: d[:-2] + bytes(16) + END,
    "bytes between the segments": lambda d: (
        d[:20] + b"\0\0" + d[20 : d.index(b"\xff\xda")] + b"junk" + d[d.index(b"\xff\xda") :]
    ),
    "three oddities at once": lambda d: (
        with_bytes(d, d.index(b"JFIF\0") + 5, b"\0")[:20] + b"\0\0" + d[20:-2] + bytes(9) + END
    ),
    "fill bytes before the end marker": lambda d: d[:-2] + b"\xff" * 500 + END,
    "unknown revision of JFIF": lambda d: with_bytes(d, d.index(b"JFIF\0") + 5, b"\0"),
    "unknown Adobe transform": lambda d: d[:2] + adobe(7) + d[20:],
    "scan parameters of another process": lambda d: with_bytes(
        d, d.index(b"\xff\xda") + 11, b"\0\0\0"
    ),
    "a color profile in pieces that do not fit": lambda d: (
        d[:2] + b"\xff\xe2\0\x20ICC_PROFILE\0\x03\x02" + bytes(16) + d[2:]
    ),
}


@pytest.mark.parametrize("side", [None, 60])
@pytest.mark.parametrize("variant", HARMLESS)
def test_harmless_oddities_are_read(variant, side):
    intact = save(PHOTO, "JPEG")
    odd = HARMLESS[variant](intact)
    assert odd != intact
    expected = decode(intact, name="a", side=side)
    np.testing.assert_array_equal(decode(odd, name="a", side=side), expected)


def test_a_harmless_oddity_does_not_hide_damage():
    for variant in ("unknown revision of JFIF", "scan parameters of another process"):
        data = HARMLESS[variant](save(PHOTO, "JPEG"))
        for damage in DAMAGE.values():
            with pytest.raises(UnreadableImageError, match="damaged JPEG"):
                decode(damage(data), name="a")
    data = save(PHOTO, "JPEG")
    with pytest.raises(UnreadableImageError, match=r"damaged JPEG \(data left over\)"):
        decode(data[:-2] + bytes(range(100)) + END, name="a")


@pytest.mark.parametrize("padding", [14, 16])
def test_padding_is_harmless_wherever_the_data_end(padding):
    """libjpeg-turbo reports fewer bytes than there are, by those that it had read ahead."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    smooth = cv2.resize(cv2.resize(cv2.GaussianBlur(noise, (0, 0), 3), (61, 47)), (640, 480))
    data = save(smooth, "JPEG", quality=90)
    padded = data[:-2] + bytes(padding) + END
    np.testing.assert_array_equal(decode(padded, name="a"), decode(data, name="a"))


def test_every_end_within_the_header_is_a_file_cut_short():
    data = save(textured(), "JPEG")
    for end in range(4, data.index(b"\xff\xda") + 14):
        with pytest.raises(UnreadableImageError, match="is a JPEG cut short"):
            decode(data[:end], name="a")


@pytest.mark.parametrize(
    ("frame", "bits", "words"),
    [
        (0xC3, 8, "lossless"),
        (0xC9, 8, "arithmetic-coded"),
        (0xC5, 8, "hierarchical"),
        (0xC1, 12, "12 bits per sample"),
    ],
)
def test_rare_kinds_are_unsupported_and_not_damaged(frame, bits, words):
    data = save(PHOTO, "JPEG")
    at = data.index(b"\xff\xc0")
    data = with_bytes(with_bytes(data, at + 1, bytes([frame])), at + 4, bytes([bits]))
    with pytest.raises(UnsupportedImageError, match=rf"^a\.jpg: is a JPEG of .* \({words}\)"):
        decode(data, name="a.jpg")


def test_a_second_picture_after_the_first_is_ignored():
    """MPO: two views in one file."""
    stream = io.BytesIO()
    first, second = Image.fromarray(PHOTO), Image.fromarray(255 - PHOTO)
    first.save(stream, "MPO", save_all=True, append_images=[second])
    expected = decode(save(PHOTO, "JPEG"), name="a")
    np.testing.assert_array_equal(decode(stream.getvalue(), name="a"), expected)
