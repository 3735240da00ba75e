"""Decoding ahead: bounded in images and in bytes, in order, and over when nobody wants more."""

import threading
from functools import partial

import pytest

from outliers_bench.data import prefetch as module
from outliers_bench.data.decode import resize
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


def test_a_bounded_number_of_images_ahead():
    everything = images(AHEAD * 3)
    stream = iter(Decoder(everything, partial(resize, size=8)))
    for taken in range(1, 20):
        next(stream)
        assert len(everything.reader.decoded) <= taken + AHEAD
    stream.close()


@pytest.mark.parametrize(("size", "ahead"), [(8, 20), (16, 5), (64, 2), (256, 2)])
def test_large_images_wait_in_smaller_numbers(monkeypatch, size, ahead):
    """In 3,840 bytes there is room for 20 squares of 8 pixels and 5 of 16; of 64, for none."""
    monkeypatch.setattr(module, "AHEAD_BYTES", 20 * 3 * 8 * 8)
    monkeypatch.setattr(module, "cores", lambda: 2)
    everything = images(60)
    stream = iter(Decoder(everything, partial(resize, size=size)))
    for taken in range(1, 30):
        next(stream)
        assert len(everything.reader.decoded) <= taken + ahead
    stream.close()  # waits for what was under way
    assert len(everything.reader.decoded) <= 29 + ahead


def test_everything_comes_once_in_order_whatever_cannot_be_read():
    everything = images(150, broken=[0, 70, 149])
    decoder = Decoder(everything, partial(resize, size=8))
    got = [digest for digest, _ in decoder]
    assert got == [everything.digests[i] for i in range(150) if i not in (0, 70, 149)]
    assert sorted(everything.reader.decoded) == sorted(everything.names)
    damaged = decoder.take_damaged()
    assert [digest for digest, _ in damaged] == [everything.digests[i] for i in (0, 70, 149)]
    assert decoder.take_damaged() == []


def test_threads_end_with_the_iteration_and_opencv_has_its_own_back():
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


def test_an_error_that_is_no_damage_reaches_whoever_iterates():
    def fails(image):
        raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        list(Decoder(images(5), fails))
    assert decode_threads() == []


def test_how_large_a_photo_must_be_is_asked_of_the_reader():
    everything, asked = images(5), []
    read = everything.reader.read
    everything.reader.read = lambda *args, side: asked.append(side) or read(*args, side=side)
    list(Decoder(everything, partial(resize, size=8), side=24))
    first_readable(everything, partial(resize, size=8), 2, side=24)
    assert asked == [24] * 7


def test_a_sample_passes_over_what_cannot_be_read():
    sample = first_readable(images(6, broken=[0, 2]), partial(resize, size=8), 3)
    assert [image.shape for image in sample] == [(8, 8, 3)] * 3
    assert len(first_readable(images(2, broken=[0]), partial(resize, size=8), 3)) == 1
    with pytest.raises(BenchError, match="none of the 2 images"):
        first_readable(images(2, broken=[0, 1]), partial(resize, size=8), 3)


@pytest.mark.parametrize("cores", [1, 5])
def test_a_sample_is_bounded_in_bytes_and_decodes_little_more(monkeypatch, cores):
    monkeypatch.setattr(module, "cores", lambda: cores)
    monkeypatch.setattr(module, "AHEAD_BYTES", 10 * 3 * 8 * 8)
    everything = images(60, broken=[1])
    sample = first_readable(everything, partial(resize, size=8), 256)
    assert len(sample) == 10
    assert len(everything.reader.decoded) <= 11 + 10  # what was under way
    assert len(first_readable(images(9), partial(resize, size=64), 5)) == 1


def test_more_wait_where_batches_are_large():
    everything = images(AHEAD * 3)
    decoder = Decoder(everything, partial(resize, size=8))
    decoder.ahead = 2 * AHEAD
    stream = iter(decoder)
    for _ in range(5):
        next(stream)
    stream.close()  # cancels what was not begun
    assert decoder._room() == 2 * AHEAD
