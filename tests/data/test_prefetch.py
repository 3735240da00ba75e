"""Prefetching: ordered, within a limit of images and bytes, and ended with the iteration."""

import threading
import time
from functools import partial

import pytest

from outliers_bench.data import prefetch as prefetch_module
from outliers_bench.data.decode import resize
from outliers_bench.data.image_files import FileReader
from outliers_bench.data.opencv import opencv
from outliers_bench.data.prefetch import AHEAD, Decoder, first_readable
from outliers_bench.errors import BenchError
from tests.toys import image_set, noise_images


def images(count, *, size=40, broken=()):
    reader = noise_images(count, size=size)
    for i in broken:
        del reader.arrays[f"image-{i}"]
    return image_set([f"image-{i}" for i in range(count)], reader=reader)


def decode_threads():
    return [t.name for t in threading.enumerate() if t.name.startswith("decode")]


def test_number_of_decoded_images_is_limited():
    everything = images(AHEAD * 3)
    stream = iter(Decoder(everything, partial(resize, size=8)))
    for taken in range(1, 20):
        next(stream)
        assert len(everything.reader.decoded) <= taken + AHEAD
    stream.close()


@pytest.mark.parametrize(("size", "ahead"), [(8, 20), (16, 5), (64, 2), (256, 2)])
def test_size_of_decoded_images_is_limited(monkeypatch, size, ahead):
    """3,840 bytes fit 20 squares of 8 pixels, 5 of 16, and none of 64."""
    monkeypatch.setattr(prefetch_module, "AHEAD_BYTES", 20 * 3 * 8 * 8)
    monkeypatch.setattr(prefetch_module, "cores", lambda: 2)
    everything = images(60)
    stream = iter(Decoder(everything, partial(resize, size=size)))
    for taken in range(1, 30):
        next(stream)
        assert len(everything.reader.decoded) <= taken + ahead
    stream.close()  # waits for images in progress
    assert len(everything.reader.decoded) <= 29 + ahead


def test_readable_images_come_once_and_in_order():
    everything = images(150, broken=[0, 70, 149])
    decoder = Decoder(everything, partial(resize, size=8))
    digests = [digest for digest, _ in decoder]
    assert digests == [everything.digests[i] for i in range(150) if i not in (0, 70, 149)]
    assert sorted(everything.reader.decoded) == sorted(everything.names)
    damaged = decoder.pop_undecodable()
    assert [digest for digest, _ in damaged] == [everything.digests[i] for i in (0, 70, 149)]
    assert decoder.pop_undecodable() == []


def test_threads_end_with_the_iteration_and_opencv_threads_are_restored():
    cv2, everything = opencv(), images(100)
    before = cv2.getNumThreads()
    cv2.setNumThreads(2)
    try:
        stream = iter(Decoder(everything, partial(resize, size=8)))
        next(stream)
        assert decode_threads()
        assert cv2.getNumThreads() == 1
        stream.close()
        assert decode_threads() == []
        assert cv2.getNumThreads() == 2
        assert len(everything.reader.decoded) < 100
    finally:
        cv2.setNumThreads(before)


def test_other_errors_reach_the_caller():
    def fail(image):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        list(Decoder(images(5), fail))
    assert decode_threads() == []


def test_side_is_passed_to_the_reader():
    everything, sides = images(5), []
    read = everything.reader.read
    everything.reader.read = lambda *args, side: sides.append(side) or read(*args, side=side)
    list(Decoder(everything, partial(resize, size=8), side=24))
    first_readable(everything, partial(resize, size=8), 2, side=24)
    assert sides == [24] * 7


def test_sample_skips_unreadable_images():
    sample = first_readable(images(6, broken=[0, 2]), partial(resize, size=8), 3)
    assert [image.shape for image in sample] == [(8, 8, 3)] * 3
    assert len(first_readable(images(2, broken=[0]), partial(resize, size=8), 3)) == 1
    with pytest.raises(BenchError, match="none of the 2 images"):
        first_readable(images(2, broken=[0, 1]), partial(resize, size=8), 3)


@pytest.mark.parametrize("cores", [1, 5])
def test_sample_size_is_limited(monkeypatch, cores):
    monkeypatch.setattr(prefetch_module, "cores", lambda: cores)
    monkeypatch.setattr(prefetch_module, "AHEAD_BYTES", 10 * 3 * 8 * 8)
    everything = images(60, broken=[1])
    sample = first_readable(everything, partial(resize, size=8), 256)
    assert len(sample) == 10
    assert len(everything.reader.decoded) <= 11 + 10  # images in progress
    assert len(first_readable(images(9), partial(resize, size=64), 5)) == 1


def test_larger_batches_allow_more_decoded_images():
    everything = images(AHEAD * 3)
    decoder = Decoder(everything, partial(resize, size=8))
    decoder.ahead = 2 * AHEAD
    stream = iter(decoder)
    for _ in range(5):
        next(stream)
    stream.close()  # cancels pending images
    assert decoder._max_pending() == 2 * AHEAD


def test_a_closed_iteration_does_not_wait_for_an_image_of_seconds():
    everything, never = images(3), threading.Event()
    read = everything.reader.read

    def slow(name, *args, side):
        if name == "image-1":
            never.wait(20)
        return read(name, *args, side=side)

    everything.reader.read = slow
    stream = iter(Decoder(everything, partial(resize, size=8)))
    next(stream)
    start = time.monotonic()
    stream.close()
    assert time.monotonic() - start < 2
    never.set()


def test_files_that_are_gone_are_named_as_such(tmp_path):
    names = [f"{i}.png" for i in range(3)]
    everything = image_set(names, reader=FileReader(tmp_path))
    with pytest.raises(BenchError, match=r"^all 3 photos are gone: .* no longer mounted"):
        first_readable(everything, partial(resize, size=8), 2)
    (tmp_path / "0.png").write_bytes(b"no image")
    with pytest.raises(BenchError, match=r"^none of the 3 images can be decoded$"):
        first_readable(everything, partial(resize, size=8), 2)
