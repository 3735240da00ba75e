"""Feature extraction: each image once, also across runs, with identical stored features."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError, InaccessibleImageError, UnsupportedImageError
from outliers_bench.features.extract import Features
from outliers_bench.features.view_average import ViewDescriber
from outliers_bench.keypoints.detect import KeypointDetector
from outliers_bench.keypoints.options import KeypointOptions
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Extractor
from outliers_bench.models.tta import Crop, View
from outliers_bench.runtime.meter import Meter
from outliers_bench.training.dataset import CachingReader, ReadabilityProbe
from outliers_bench.types import LeftOut
from tests.toys import digest, image_set, noise_images


@dataclass
class Counting(Extractor):
    """Mean color of an image; records embedded images and the number of loads."""

    name: str = "counting"
    image_size: int = 8
    embedded: list[bytes] = field(default_factory=list)
    loads: int = 0
    sampled: int = 0

    @property
    def dimensions(self) -> int:
        return 3

    def space(self):
        return {"architecture": "counting", "image_size": self.image_size}

    def embedder(self, engine, cache, sample):
        self.loads += 1
        self.sampled = len(sample())

        def embed(images: Iterable) -> Iterator:
            for key, image in images:
                assert image.shape == (self.image_size, self.image_size, 3)
                self.embedded.append(key)
                yield key, image.mean(axis=(0, 1), dtype=np.float32)

        return embed


def features(extractor: Extractor, cache: Path, meter: Meter | None = None) -> Features:
    return Features(extractor, Engine(), cache, meter or Meter())


def view_describer(extractor: Extractor, view: View) -> ViewDescriber:
    return ViewDescriber(extractor, view, name="view", embedders={})


def images(count: int, broken: Iterable[int] = ()):
    reader = noise_images(count)
    for i in broken:
        del reader.arrays[f"image-{i}"]
    return image_set([f"image-{i}" for i in range(count)], reader=reader)


def test_a_second_run_decodes_and_loads_nothing(tmp_path):
    all_images, model = images(50), Counting()
    features(model, tmp_path).compute(all_images)
    assert sorted(model.embedded) == sorted(all_images.digests)
    all_images.reader.decoded.clear()
    meter = Meter()
    again = features(model, tmp_path, meter)
    assert again.compute(all_images) == {}
    assert (model.loads, len(model.embedded)) == (1, 50)
    assert all_images.reader.decoded == []
    assert (meter.features_computed, meter.features_reused) == (0, 50)
    originals = [all_images.read(i) for i in range(50)]
    matrix = again.load(all_images).matrix
    assert matrix.shape == (50, 3)
    assert matrix.dtype == np.float32
    assert np.allclose(matrix, [image.mean(axis=(0, 1)) for image in originals], atol=2)


def test_only_new_photos_are_computed(tmp_path):
    model = Counting()
    features(model, tmp_path).compute(images(30))
    model.embedded.clear()
    meter = Meter()
    features(model, tmp_path, meter).compute(images(45))
    assert sorted(model.embedded) == sorted(digest(f"image-{i}") for i in range(30, 45))
    assert (meter.features_computed, meter.features_reused) == (15, 30)


def test_rows_are_in_the_requested_order(tmp_path):
    all_images = images(20)
    store = features(Counting(), tmp_path)
    store.compute(all_images)
    order = np.random.default_rng(0).permutation(20)
    assert np.array_equal(
        store.load(all_images.take(order)).matrix, store.load(all_images).matrix[order]
    )


def test_different_feature_spaces_share_nothing(tmp_path):
    features(Counting(), tmp_path).compute(images(5))
    other = Counting(image_size=9)
    features(other, tmp_path).compute(images(5))
    assert len(other.embedded) == 5


def test_unreadable_images_are_named_counted_and_remembered(tmp_path):
    all_images, model = images(20, broken=[3, 17]), Counting()
    for _ in range(2):
        meter = Meter()
        left_out = features(model, tmp_path, meter).compute(all_images)
        assert {item.name for item in left_out.values()} == {"image-3", "image-17"}
        assert {item.kind for item in left_out.values()} == {"unreadable"}
        assert left_out[digest("image-3")].detail == "broken on purpose"
        assert model.loads == 1
        assert meter.features_computed + meter.features_reused == 18


def test_a_stored_reason_names_the_image_as_it_is_called_now(tmp_path):
    first, second = images(4, broken=[1]), images(4, broken=[1])
    features(Counting(), tmp_path).compute(first)
    renamed = replace(second, names=("image-0", "renamed", "image-2", "image-3"))
    left_out = features(Counting(), tmp_path).compute(renamed)
    assert list(left_out.values()) == [LeftOut("renamed", "unreadable", "broken on purpose")]


def test_unsupported_images_are_not_unreadable_also_when_stored(tmp_path):
    all_images = images(4)

    def read(name, digest, **_):
        if name == "image-2":
            raise UnsupportedImageError("HEIF is not supported", name=name)
        return all_images.reader.arrays[name]

    all_images.reader.read = read
    for _ in range(2):
        left_out = features(Counting(), tmp_path).compute(all_images)
        expected = LeftOut("image-2", "unsupported", "HEIF is not supported")
        assert list(left_out.values()) == [expected]


def test_inaccessible_images_are_retried(tmp_path):
    all_images = images(6)

    def locked(name):
        raise InaccessibleImageError("permission denied", name=name)

    read = all_images.reader.read
    all_images.reader.read = lambda name, digest, **_: (
        locked(name) if name == "image-2" else read(name, digest)
    )
    left_out = features(Counting(), tmp_path).compute(all_images)
    assert list(left_out) == [digest("image-2")]
    all_images.reader.read = read
    model = Counting()
    assert features(model, tmp_path).compute(all_images) == {}
    assert model.embedded == [digest("image-2")]


def test_no_readable_image(tmp_path):
    with pytest.raises(BenchError, match="none of the 3 images"):
        features(Counting(), tmp_path).compute(images(3, broken=range(3)))


@pytest.mark.parametrize(
    ("describer", "side"),
    [
        (Counting(image_size=8), 24),
        (view_describer(Counting(image_size=8), View(8)), 24),
        (view_describer(Counting(image_size=8), View(14, Crop.top_left)), 48),
        (Backbone("net", 32, keras="MobileNet", dim=1024, weights="random"), 96),
        (KeypointDetector(KeypointOptions()), None),
        (ReadabilityProbe("net"), None),
    ],
    ids=["plain", "view", "crop of 16 pixels", "backbone", "keypoints", "readable"],
)
def test_the_minimum_side_is_passed_to_the_reader(tmp_path, describer, side):
    all_images, sides = images(1), []
    all_images.reader.read = lambda *_, side: sides.append(side) or np.zeros((40, 40, 3), np.uint8)
    describer.embedder = lambda *_: lambda stream: ((key, np.zeros(3)) for key, _ in stream)
    Features(describer, Engine(), tmp_path, Meter()).compute(all_images)
    assert sides == [side]


def test_images_cached_for_training_are_reused_for_embedding():
    all_images, sides = images(1), []
    all_images.reader.read = lambda *_, side: sides.append(side) or np.zeros((9, 9, 3), np.uint8)
    caching = CachingReader(all_images.reader, 8, cache=True)
    caching.read("image-0", digest("image-0"))
    caching.read("image-0", digest("image-0"), side=96)
    assert sides == [24]


SLOW_RUN = """
    import sys, time
    from pathlib import Path
    from outliers_bench.features import extract
    from outliers_bench.store import writer
    from tests.features_kill import SlowModel, all_images
    writer.COMMIT_SECONDS = 0.05
    features = extract.Features(SlowModel(), extract.Engine(), Path(sys.argv[1]), extract.Meter())
    features.compute(all_images())
"""


def test_a_killed_extraction_is_resumed(tmp_path):
    from tests.features_kill import SlowModel, all_images

    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SLOW_RUN), str(tmp_path / "killed")],
        stdout=subprocess.PIPE,
    )
    for _ in range(60):  # the child prints one line per image
        process.stdout.readline()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()

    meter = Meter()
    resumed = features(SlowModel(), tmp_path / "killed", meter)
    resumed.compute(all_images())
    assert meter.features_reused >= 20, "committed features are reused"
    assert meter.features_computed == 200 - meter.features_reused > 0
    uninterrupted = features(SlowModel(), tmp_path / "whole")
    uninterrupted.compute(all_images())
    assert (
        resumed.load(all_images()).matrix.tobytes()
        == uninterrupted.load(all_images()).matrix.tobytes()
    )
