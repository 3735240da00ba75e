"""Headers that claim what is not there: one line, in bounded time and memory."""

import struct
import threading
import time
import tracemalloc
import zlib

import numpy as np
import pytest

from outliers_bench.data import decoding_memory
from outliers_bench.data.decode import decode, read_header
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


def progressive(width, height, scans):
    """A gray JPEG whose scans each code the whole picture in a few bytes, as runs of nothing."""
    blocks = -(-width // 8) * -(-height // 8)
    frame = struct.pack(">BHHB3B", 8, height, width, 1, 1, 0x11, 0)
    codes = b"\0\1" + bytes(15) + b"\0", b"\x10\1\1" + bytes(14) + b"\xe0\0"
    size = 15 * -(-blocks // 0x7FFF)
    bits = "011111111111111" * (size // 15) + "1" * (-size % 8)
    ac = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    return b"".join(
        [
            b"\xff\xd8",
            segment(0xC2, frame),
            segment(0xDB, b"\0" + b"\1" * 64),
            *(segment(0xC4, code) for code in codes),
            segment(0xDA, bytes([1, 1, 0, 0, 0, 0])) + bytes(blocks // 8 + 1),
            (segment(0xDA, bytes([1, 1, 0, 1, 63, 0])) + ac) * (scans - 1),
            b"\xff\xd9",
        ]
    )


def segment(marker, body):
    return bytes([0xFF, marker]) + struct.pack(">H", len(body) + 2) + body


@pytest.mark.parametrize(
    ("size", "scans", "most"), [(64, 101, 100), (11_000, 36, 35), (64, 100, None)]
)
def test_scans_are_limited_by_their_number_and_by_the_pixels(size, scans, most):
    data = progressive(size, size, scans)
    files = data, by_hand(data, plain(size, size, t259=(SHORT, [7])))
    for file in files:  # a JPEG, and one in a TIFF
        if most is None:
            assert decode(file, name="a").shape == (size, size, 3)
            continue
        with pytest.raises(UnreadableImageError, match=rf"^a: is a JPEG .*more than {most} scans$"):
            decode(file, name="a")


@pytest.mark.parametrize("filling", [b"\xff", b"\xff\0", b"\xff\xd0", b"\0"])
def test_megabytes_between_segments_take_no_time(filling):
    data = save(textured(), "JPEG")
    padded = data[:2] + segment(0xFE, b"") + filling * (4_000_000 // len(filling)) + data[2:]
    start = time.process_time()
    read_header(padded)
    assert time.process_time() - start < 0.3


def test_many_parts_of_a_file_are_refused():
    jpeg, jp2 = save(textured(), "JPEG"), save(textured(), "JPEG2000")
    box = jp2.index(b"jp2c") - 4
    comments = b"P2 2 2 9\n" + b"#\n" * 10_001 + b"1 2 3 4"
    later = save(textured(), "JPEG", progressive=True)
    scan = later.rindex(b"\xff\xda")
    strips = plain(16, 2**19, t278=(LONG, [1]))
    strips |= {273: (LONG, [8] * 2**19), 279: (LONG, [16] * 2**19)}
    for data, reason in (
        (jpeg[:2] + segment(0xFE, b"") * 10_001 + jpeg[2:], "10,000 segments"),
        (later[:scan] + segment(0xFE, b"") * 10_001 + later[scan:], "10,000 segments"),
        (jp2[:box] + b"\0\0\0\x08free" * 10_001 + jp2[box:], "10,000 boxes"),
        (comments, "10,000 comments"),
        (by_hand(bytes(64), strips), "a tag of 524,288 values"),
    ):
        with pytest.raises(UnreadableImageError, match=reason):
            decode(data, name="a")


def test_tiles_around_an_image_and_strips_in_each_other_are_limited():
    tile = zlib.compress(bytes(2**20))
    wide = plain(16, 1000, t259=(SHORT, [8]), t322=(LONG, [2**20]), t323=(LONG, [1]))
    wide |= {324: (LONG, [8] * 1000), 325: (LONG, [len(tile)] * 1000)}
    with pytest.raises(UnreadableImageError, match="1,048,576,000 pixels in its tiles"):
        decode(by_hand(tile, wide), name="a")
    rows = plain(16, 1000, t278=(LONG, [1]))
    rows |= {273: (LONG, [8] * 1000), 279: (LONG, [500_000] * 1000)}
    with pytest.raises(UnreadableImageError, match="strips or tiles overlap"):
        decode(by_hand(bytes(500_000), rows), name="a")


def test_blanks_in_a_header_of_pam_take_no_time():
    start = time.process_time()
    with pytest.raises(UnreadableImageError, match="damaged or cut-short PNM"):
        decode(b"P7\nWIDTH 1" + b" \t" * 30_000 + b"x\nENDHDR\n", name="a")
    assert time.process_time() - start < 0.3


def test_samples_in_text_are_parsed_in_parts(monkeypatch):
    monkeypatch.setattr("outliers_bench.data.formats.pnm._TEXT_BYTES", 10)
    numbers = np.arange(300).reshape(10, 10, 3) % 256
    text = b"P3 10 10 255\n" + " ".join(map(str, numbers.ravel())).encode()
    np.testing.assert_array_equal(decode(text, name="a"), numbers)
    for wrong in (text[:-4], text.replace(b" 7 ", b" 65543 ", 1), text.replace(b" 7 ", b" x ")):
        with pytest.raises(UnreadableImageError, match="damaged or cut-short PNM"):
            decode(wrong, name="a")


def test_threads_share_the_memory_of_decoding(monkeypatch):
    """Three of 40 bytes fit into 100 only by waiting; one of 1,000 is alone."""
    monkeypatch.setattr(decoding_memory, "DECODING_BYTES", 100)
    taken, most, alone = 0, 0, []
    lock = threading.Lock()

    def decode_one(size):
        nonlocal taken, most
        with decoding_memory.decoding_memory(size):
            with lock:
                taken += size
                most = max(most, taken if taken < 1000 else 0)
                alone.append(taken - size if size == 1000 else 0)
            time.sleep(0.01)
            with lock:
                taken -= size

    threads = [threading.Thread(target=decode_one, args=(size,)) for size in [40] * 9 + [1000] * 2]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 80
    assert not any(alone)
    with pytest.raises(RuntimeError), decoding_memory.decoding_memory(100):
        raise RuntimeError
    with decoding_memory.decoding_memory(100):  # what failed is given back
        pass
