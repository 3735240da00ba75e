"""Extraction: every image once, in whatever pieces, and the same bits in the end."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.data.decode import resize
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.features.engine import Engine
from outliers_bench.features.extract import AHEAD, Decoder, Features
from outliers_bench.features.extractor import Extractor
from outliers_bench.measure import Meter
from tests.toys import digest, image_set, noise_images


@dataclass
class Counting(Extractor):
    """Mean colour; counts the images it has seen and how often it was made ready."""

    name: str = "counting"
    image_size: int = 8
    seen: list[bytes] = field(default_factory=list)
    made_ready: int = 0
    sampled: int = 0

    @property
    def dimensions(self) -> int:
        return 3

    def space(self):
        return {"architecture": "counting", "image_size": self.image_size}

    def embedder(self, engine, cache, sample):
        self.made_ready += 1
        self.sampled = len(sample())

        def embed(images: Iterable) -> Iterator:
            for key, image in images:
                assert image.shape == (self.image_size, self.image_size, 3)
                self.seen.append(key)
                yield key, image.mean(axis=(0, 1), dtype=np.float32)

        return embed


def features(extractor: Extractor, cache: Path, meter: Meter | None = None) -> Features:
    return Features(extractor, Engine(), cache, meter or Meter())


def images(count: int, broken: Iterable[int] = ()):
    reader = noise_images(count)
    for i in broken:
        del reader.arrays[f"image-{i}"]
    return image_set([f"image-{i}" for i in range(count)], reader=reader)


def test_the_second_time_nothing_is_decoded_or_made_ready(tmp_path):
    everything, model = images(50), Counting()
    features(model, tmp_path).compute(everything)
    assert sorted(model.seen) == sorted(everything.digests)
    everything.reader.decoded.clear()
    meter = Meter()
    again = features(model, tmp_path, meter)
    assert again.compute(everything) == {}
    assert (model.made_ready, len(model.seen)) == (1, 50)
    assert everything.reader.decoded == []
    assert (meter.features_computed, meter.features_reused) == (0, 50)
    expected = [everything.read(i) for i in range(50)]
    got = again.load(everything)
    assert got.shape == (50, 3)
    assert got.dtype == np.float32
    assert np.allclose(got, [image.mean(axis=(0, 1)) for image in expected], atol=2)


def test_only_new_photos_are_computed(tmp_path):
    model = Counting()
    features(model, tmp_path).compute(images(30))
    model.seen.clear()
    meter = Meter()
    features(model, tmp_path, meter).compute(images(45))
    assert sorted(model.seen) == sorted(digest(f"image-{i}") for i in range(30, 45))
    assert (meter.features_computed, meter.features_reused) == (15, 30)


def test_rows_come_in_the_order_asked_for(tmp_path):
    everything = images(20)
    store = features(Counting(), tmp_path)
    store.compute(everything)
    order = np.random.default_rng(0).permutation(20)
    assert np.array_equal(store.load(everything.take(order)), store.load(everything)[order])


def test_another_space_shares_nothing(tmp_path):
    features(Counting(), tmp_path).compute(images(5))
    other = Counting(image_size=9)
    features(other, tmp_path).compute(images(5))
    assert len(other.seen) == 5


def test_damaged_images_are_named_counted_and_remembered(tmp_path):
    everything, model = images(20, broken=[3, 17]), Counting()
    for made_ready in (1, 1):
        meter = Meter()
        left_out = features(model, tmp_path, meter).compute(everything)
        assert {item.name for item in left_out.values()} == {"image-3", "image-17"}
        assert {item.kind for item in left_out.values()} == {"unreadable"}
        assert "broken on purpose" in left_out[digest("image-3")].detail
        assert model.made_ready == made_ready
        assert meter.features_computed + meter.features_reused == 18


def test_images_that_cannot_be_opened_now_are_tried_again(tmp_path):
    everything = images(6)

    def locked(name):
        raise InaccessibleImageError(f"{name}: permission denied")

    read = everything.reader.read
    everything.reader.read = lambda name, digest, **_: (
        locked(name) if name == "image-2" else read(name, digest)
    )
    left_out = features(Counting(), tmp_path).compute(everything)
    assert list(left_out) == [digest("image-2")]
    everything.reader.read = read
    model = Counting()
    assert features(model, tmp_path).compute(everything) == {}
    assert model.seen == [digest("image-2")]


def test_nothing_readable_at_all(tmp_path):
    with pytest.raises(BenchError, match="none of the 3 images"):
        features(Counting(), tmp_path).compute(images(3, broken=range(3)))


def test_decoding_stays_a_bounded_number_of_images_ahead():
    everything = images(AHEAD * 4)
    stream = iter(Decoder(everything, partial(resize, size=8)))
    for taken in range(1, 20):
        next(stream)
        assert len(everything.reader.decoded) <= taken + AHEAD
    stream.close()


SLOW_RUN = """
    import sys, time
    from pathlib import Path
    from outliers_bench.features import extract
    from tests.features_kill import Slow, everything
    extract.COMMIT_SECONDS = 0.05
    features = extract.Features(Slow(), extract.Engine(), Path(sys.argv[1]), extract.Meter())
    features.compute(everything())
"""


def test_kill_in_the_middle_and_start_again(tmp_path):
    from tests.features_kill import Slow, everything

    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW_RUN), str(tmp_path / "killed")],
        stdout=subprocess.PIPE,
    )
    for _ in range(60):  # the child prints a line an image
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    meter = Meter()
    resumed = features(Slow(), tmp_path / "killed", meter)
    resumed.compute(everything())
    assert meter.features_reused >= 20, "what had been committed was kept"
    assert meter.features_computed == 200 - meter.features_reused > 0
    undisturbed = features(Slow(), tmp_path / "whole")
    undisturbed.compute(everything())
    assert resumed.load(everything()).tobytes() == undisturbed.load(everything()).tobytes()
