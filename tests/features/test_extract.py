"""Extraction: every image once, in whatever pieces, and the same bits in the end."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.features.extract import Features
from outliers_bench.features.view_average import ViewDescriber, _EmbedderCache
from outliers_bench.keypoints.detect import KeypointDetector
from outliers_bench.keypoints.options import KeypointOptions
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Extractor
from outliers_bench.models.tta import Crop, View
from outliers_bench.runtime.meter import Meter
from outliers_bench.training.dataset import CachingReader
from outliers_bench.training.frozen_backbone import FrozenBackbone
from outliers_bench.training.probe import ReadabilityProbe
from tests.toys import digest, image_set, noise_images


@dataclass
class Counting(Extractor):
    """Mean color; counts the images it has seen and how often it was made ready."""

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


def seen(extractor: Extractor, view: View) -> ViewDescriber:
    return ViewDescriber(extractor, view, name="view", ready=_EmbedderCache())


def images(count: int, broken: Iterable[int] = ()):
    reader = noise_images(count)
    for i in broken:
        del reader.arrays[f"image-{i}"]
    return image_set([f"image-{i}" for i in range(count)], reader=reader)


def test_the_second_time_nothing_is_decoded_or_made_ready(tmp_path):
    all_images, model = images(50), Counting()
    features(model, tmp_path).compute(all_images)
    assert sorted(model.seen) == sorted(all_images.digests)
    all_images.reader.decoded.clear()
    meter = Meter()
    again = features(model, tmp_path, meter)
    assert again.compute(all_images) == {}
    assert (model.made_ready, len(model.seen)) == (1, 50)
    assert all_images.reader.decoded == []
    assert (meter.features_computed, meter.features_reused) == (0, 50)
    expected = [all_images.read(i) for i in range(50)]
    got = again.load(all_images)
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
    all_images = images(20)
    store = features(Counting(), tmp_path)
    store.compute(all_images)
    order = np.random.default_rng(0).permutation(20)
    assert np.array_equal(store.load(all_images.take(order)), store.load(all_images)[order])


def test_another_space_shares_nothing(tmp_path):
    features(Counting(), tmp_path).compute(images(5))
    other = Counting(image_size=9)
    features(other, tmp_path).compute(images(5))
    assert len(other.seen) == 5


def test_damaged_images_are_named_counted_and_remembered(tmp_path):
    all_images, model = images(20, broken=[3, 17]), Counting()
    for made_ready in (1, 1):
        meter = Meter()
        left_out = features(model, tmp_path, meter).compute(all_images)
        assert {item.name for item in left_out.values()} == {"image-3", "image-17"}
        assert {item.kind for item in left_out.values()} == {"unreadable"}
        assert "broken on purpose" in left_out[digest("image-3")].detail
        assert model.made_ready == made_ready
        assert meter.features_computed + meter.features_reused == 18


def test_images_that_cannot_be_opened_now_are_tried_again(tmp_path):
    all_images = images(6)

    def locked(name):
        raise InaccessibleImageError(f"{name}: permission denied")

    read = all_images.reader.read
    all_images.reader.read = lambda name, digest, **_: (
        locked(name) if name == "image-2" else read(name, digest)
    )
    left_out = features(Counting(), tmp_path).compute(all_images)
    assert list(left_out) == [digest("image-2")]
    all_images.reader.read = read
    model = Counting()
    assert features(model, tmp_path).compute(all_images) == {}
    assert model.seen == [digest("image-2")]


def test_nothing_readable_at_all(tmp_path):
    with pytest.raises(BenchError, match="none of the 3 images"):
        features(Counting(), tmp_path).compute(images(3, broken=range(3)))


@pytest.mark.parametrize(
    ("describer", "side"),
    [
        (Counting(image_size=8), 24),
        (seen(Counting(image_size=8), View(8)), 24),
        (seen(Counting(image_size=8), View(14, Crop.top_left)), 48),
        (FrozenBackbone(Backbone("net", 32, keras="MobileNet", dim=1024, weights="random")), 96),
        (KeypointDetector(KeypointOptions()), None),
        (ReadabilityProbe("net"), None),
    ],
    ids=["plain", "view", "crop of 16 pixels", "frozen", "keypoints", "readable"],
)
def test_how_large_photos_must_be_is_asked_of_the_source(tmp_path, describer, side):
    """The same for all that share a feature space: a backbone, and a frozen one under a head."""
    all_images, asked = images(1), []
    all_images.reader.read = lambda *_, side: asked.append(side) or np.zeros((40, 40, 3), np.uint8)
    describer.embedder = lambda *_: lambda stream: ((key, np.zeros(3)) for key, _ in stream)
    Features(describer, Engine(), tmp_path, Meter()).compute(all_images)
    assert asked == [side]


def test_pixels_kept_for_a_training_are_those_that_are_embedded():
    all_images, asked = images(1), []
    all_images.reader.read = lambda *_, side: asked.append(side) or np.zeros((9, 9, 3), np.uint8)
    kept = CachingReader(all_images.reader, lambda image: image, keep=True, side=24)
    kept.read("image-0", digest("image-0"))
    kept.read("image-0", digest("image-0"), side=96)
    assert asked == [24]


SLOW_RUN = """
    import sys, time
    from pathlib import Path
    from outliers_bench.features import extract
    from outliers_bench.store import writer
    from tests.features_kill import SlowModel, all_images
    writer.COMMIT_SECONDS = 0.05
    features = extract.Features(Slow(), extract.Engine(), Path(sys.argv[1]), extract.Meter())
    features.compute(everything())
"""


def test_kill_in_the_middle_and_start_again(tmp_path):
    from tests.features_kill import SlowModel, all_images

    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW_RUN), str(tmp_path / "killed")],
        stdout=subprocess.PIPE,
    )
    for _ in range(60):  # the child prints a line an image
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    meter = Meter()
    resumed = features(SlowModel(), tmp_path / "killed", meter)
    resumed.compute(all_images())
    assert meter.features_reused >= 20, "what had been committed was kept"
    assert meter.features_computed == 200 - meter.features_reused > 0
    undisturbed = features(SlowModel(), tmp_path / "whole")
    undisturbed.compute(all_images())
    assert resumed.load(all_images()).tobytes() == undisturbed.load(all_images()).tobytes()
