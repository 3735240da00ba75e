"""Headers that claim what is not there: one line, in bounded time and memory."""

import struct
import tracemalloc
import zlib

import numpy as np
import pytest

from outliers_bench.data.decode import decode
from outliers_bench.errors import UnreadableImageError
from tests.data.encoded_images import save, textured
from tests.data.formats.tiff_files import LONG, SHORT, by_hand, plain

ZEROS = zlib.compress(bytes(10**6))


@pytest.fixture
def _traced():
    tracemalloc.start()
    yield
    tracemalloc.stop()


@pytest.mark.usefixtures("_traced")
def test_samples_larger_than_memory_are_refused_before_decoding():
    for tags in (
        {"t322": (LONG, [2**16]), "t323": (LONG, [2**16])},  # a tile
        {"t277": (SHORT, [2**16 - 1]), "t257": (LONG, [2**20]), "t278": (LONG, [2**20])},
    ):
        data = by_hand(ZEROS, plain(100, **({"height": 100, "t259": (SHORT, [8])} | tags)))
        with pytest.raises(UnreadableImageError, match=r"^a: is a TIFF that needs .* at once"):
            decode(data, name="a")
        assert tracemalloc.get_traced_memory()[1] < 2**23


@pytest.mark.usefixtures("_traced")
def test_a_jpeg_within_a_tiff_has_the_size_of_its_strip():
    stored = save(np.zeros((4000, 4000), np.uint8), "JPEG")
    tags = plain(100, 100, t259=(SHORT, [7]))
    tracemalloc.reset_peak()
    with pytest.raises(UnreadableImageError, match="damaged or cut-short TIFF"):
        decode(by_hand(stored, tags), name="a")
    assert tracemalloc.get_traced_memory()[1] < 2**23


@pytest.mark.usefixtures("_traced")
def test_tags_that_are_not_needed_are_not_read():
    """Each of them would be two million numbers."""
    entries = b"".join(struct.pack("<HHII", 40000 + i, 4, 500_000, 0) for i in range(2000))
    data = b"II*\0" + struct.pack("<IH", 8, 2000) + entries + bytes(2_000_100)
    with pytest.raises(UnreadableImageError, match="damaged or cut-short TIFF"):
        decode(data, name="a")
    assert tracemalloc.get_traced_memory()[1] < 2**23


@pytest.mark.parametrize("kind", [11, 12])
@pytest.mark.parametrize("tag", [254, 274])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_numbers_with_fractions_are_no_value_of_a_tag(kind, tag, value):
    pixels = np.ascontiguousarray(textured()[:100, :100, 0])
    tags = plain(100, 100, t254=(LONG, [0]), t274=(SHORT, [1]))
    data = bytearray(by_hand(pixels.tobytes(), tags))
    at = data.index(struct.pack("<HH", tag, tags[tag][0]), 8 + pixels.size)
    packed = struct.pack("<f" if kind == 11 else "<d", value)
    where = packed if kind == 11 else struct.pack("<I", len(data))
    data[at : at + 12] = struct.pack("<HHI", tag, kind, 1) + where
    data += packed
    np.testing.assert_array_equal(decode(bytes(data), name="a")[..., 0], pixels)


def test_a_missing_value_of_64_bits_in_samples_of_32(recwarn):
    """As GDAL writes it."""
    values = np.arange(10_000, dtype="<f4")
    tags = plain(100, 100, bits=(32,), t339=(SHORT, [3]))
    missing = tags | {42113: (7, list(b"-1.797693134862315e+308\0"))}
    expected = decode(by_hand(values.tobytes(), tags), name="a")
    np.testing.assert_array_equal(decode(by_hand(values.tobytes(), missing), name="a"), expected)
    assert not recwarn.list


def test_offsets_beyond_any_file_are_damage():
    data = b"II+\0\x08\0\0\0" + b"\xff" * 8 + bytes(100)
    with pytest.raises(UnreadableImageError, match="is a TIFF cut short"):
        decode(data, name="a")


def test_missing_tiles_of_jpeg_2000_are_damage():
    """OpenCV makes them black."""
    data = save(textured(), "JPEG2000", tile_size=(64, 64), no_jp2=True)
    decode(data, name="a")
    first = data.index(b"\xff\x90")
    (length,) = struct.unpack_from(">I", data, first + 6)
    whole_but_one = data[:first] + data[first + length :]
    with pytest.raises(UnreadableImageError, match="damaged or cut-short JPEG 2000"):
        decode(whole_but_one, name="a")
    for part in (0.3, 0.6, 0.9):
        with pytest.raises(UnreadableImageError, match="damaged or cut-short JPEG 2000"):
            decode(data[: int(part * len(data))] + b"\xff\xd9", name="a")


def test_boxes_within_boxes():
    boxes = b""
    for _ in range(3000):
        boxes = struct.pack(">I4s", len(boxes) + 8, b"jp2h") + boxes
    with pytest.raises(UnreadableImageError, match="damaged or cut-short JPEG 2000"):
        decode(b"\0\0\0\x0cjP  \r\n\x87\n" + boxes, name="a")


def test_a_largest_value_below_one():
    with pytest.raises(UnreadableImageError, match="damaged or cut-short PNM"):
        decode(b"P5 1 1 0.5 \0", name="a")


def test_text_that_begins_as_a_bitmap_is_no_image():
    with pytest.raises(UnreadableImageError, match="is not an image"):
        decode(b"BM is short for bench mark, a point of known height", name="a")
