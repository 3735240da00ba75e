"""Test-time views: what is seen, how it is averaged, and that nothing is computed twice."""

from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.benchmark import depth
from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import Cache, Config, register, to_config
from outliers_bench.data.decode import resize
from outliers_bench.data.source import DataSource
from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from outliers_bench.features.extract import Features
from outliers_bench.features.view_average import ViewAveragedFeatures, build_features
from outliers_bench.methods.build import build
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.models.model import Extractor
from outliers_bench.models.pixels import Pixels
from outliers_bench.models.tta import Crop, Crops, Tta, View
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.runtime.meter import Meter
from tests.toys import image_set, noise_images, toy_split

EVERYTHING = Tta(flip=True, scales=[1.0, 0.5, 2.0], crops=Crops.five)


@dataclass
class Corners(Extractor):
    """The four corner pixels; knows every size it was made ready for and how much it has seen."""

    name: str = "corners"
    image_size: int = 8
    made_ready: list[int] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)

    @property
    def dimensions(self):
        return 12

    def space(self):
        return {"architecture": "corners", "image_size": self.image_size}

    def embedder(self, engine, cache, sample):
        self.made_ready.append(self.image_size)
        assert {image.shape for image in sample()} == {(self.image_size, self.image_size, 3)}

        def embed(images):
            for key, image in images:
                assert image.shape == (self.image_size, self.image_size, 3)
                self.seen.append(self.image_size)
                yield key, corners(image)

        return embed


def corners(image):
    return image[[0, 0, -1, -1], [0, -1, 0, -1]].astype(np.float32).reshape(-1)


def photos(count=6, broken=()):
    reader = noise_images(count)
    for i in broken:
        del reader.arrays[f"image-{i}"]
    return image_set([f"image-{i}" for i in range(count)], reader=reader)


def viewed(model, cache, meter=None):
    return build_features(model, Engine(), cache, meter or Meter())


def unit(vector):
    return vector / np.linalg.norm(vector)


def test_flipping_twice_changes_nothing():
    image = noise_images(1, size=8).arrays["image-0"]
    mirrored = View(8, flip=True).crop_image(image)
    assert np.array_equal(mirrored[:, 0], image[:, -1])
    assert np.array_equal(mirrored[0], image[0, ::-1])
    assert np.array_equal(View(8, flip=True).crop_image(mirrored), image)
    assert np.array_equal(View(8).crop_image(image), image)


def test_where_crops_are_cut():
    squeezed = np.zeros((256, 256, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:256, :256]
    squeezed[..., 0], squeezed[..., 1] = rows, columns
    upper_left = {
        view.crop: tuple(int(c) for c in view.crop_image(squeezed)[0, 0, :2])
        for view in Tta(crops=Crops.five).of(224)
    }
    assert upper_left == {
        Crop.top_left: (0, 0),
        Crop.top_right: (0, 32),
        Crop.bottom_left: (32, 0),
        Crop.bottom_right: (32, 32),
        Crop.center: (16, 16),
    }
    (center,) = Tta(crops=Crops.center).of(224)
    assert center.resized_size == 256
    assert center.crop_image(squeezed).shape == (224, 224, 3)
    assert np.array_equal(center.crop_image(squeezed)[-1, -1, :2], (16 + 223, 16 + 223))
    mirrored = replace(center, flip=True).crop_image(squeezed)
    assert np.array_equal(mirrored[0, 0, :2], (16, 16 + 223)), "what was cut is mirrored"


def test_there_is_a_view_for_every_combination():
    views = EVERYTHING.of(8)
    assert len(views) == len(set(views)) == 3 * 5 * 2
    assert [view.size for view in views] == [8] * 10 + [4] * 10 + [16] * 10
    assert Tta().of(8) == [View(8)]
    assert Tta().plain
    assert not any(
        views.plain
        for views in (
            Tta(flip=True),
            Tta(scales=[0.5]),
            Tta(crops=Crops.center),
        )
    )


def test_the_embedding_is_the_mean_of_unit_vectors_made_unit_again(tmp_path):
    model = Corners(tta=EVERYTHING)
    images = photos()
    features = viewed(model, tmp_path)
    features.compute(images)
    found = features.load(images)
    assert found.shape == (6, 12)
    assert found.dtype == np.float32
    for row in range(6):
        seen = []
        for size in (8, 4, 16):
            whole = round(size / 0.875)
            image, over = resize(images.read(row), whole), whole - size
            for top, left in ((0, 0), (0, over), (over, 0), (over, over), (over // 2, over // 2)):
                cut = image[top : top + size, left : left + size]
                seen += [unit(corners(cut)), unit(corners(cut[:, ::-1]))]
        np.testing.assert_allclose(found[row], unit(np.mean(seen, axis=0)), atol=1e-5)


def test_one_view_that_is_not_plain_is_made_unit_too(tmp_path):
    model, images = Corners(tta=Tta(scales=[0.5])), photos()
    features = viewed(model, tmp_path)
    features.compute(images)
    expected = [unit(corners(resize(images.read(row), 4))) for row in range(6)]
    np.testing.assert_allclose(features.load(images), expected, atol=1e-6)


def test_without_views_vectors_are_as_long_as_they_are(tmp_path):
    images, features = photos(), viewed(Corners(), tmp_path)
    features.compute(images)
    expected = [corners(resize(images.read(row), 8)) for row in range(6)]
    assert np.array_equal(features.load(images), expected)


def test_the_plain_view_is_what_a_run_without_views_has_stored(tmp_path):
    images, plain = photos(), Corners()
    Features(plain, Engine(), tmp_path, Meter()).compute(images)
    mirrored, meter = Corners(tta=Tta(flip=True)), Meter()
    viewed(mirrored, tmp_path, meter).compute(images)
    assert (meter.features_reused, meter.features_computed) == (6, 6)
    assert len(mirrored.seen) == 6
    assert len(list((tmp_path / "features").glob("*.sqlite"))) == 2


def test_a_scale_is_what_a_run_with_that_image_size_has_stored(tmp_path):
    images = photos()
    viewed(Corners(image_size=4), tmp_path).compute(images)
    scaled = Corners(tta=Tta(scales=[1.0, 0.5]))
    viewed(scaled, tmp_path).compute(images)
    assert scaled.seen == [8] * 6


def test_every_view_has_a_store_of_its_own_and_a_network_is_made_ready_once_a_size(tmp_path):
    images, model, meter = photos(), Corners(tta=EVERYTHING), Meter()
    features = viewed(model, tmp_path, meter)
    asked = []
    features.compute(images, commit=lambda: asked.append(len(model.made_ready)))
    assert asked[0] == 0, "asked before it begins"
    assert len(list((tmp_path / "features").glob("*.sqlite"))) == 30
    assert model.made_ready == [8, 4, 16]
    assert (meter.features_computed, meter.features_reused) == (180, 0)
    assert set(meter.seconds) == {"embed", "decode"}


def test_the_second_run_computes_nothing(tmp_path):
    images = photos(broken=[2])
    first = viewed(Corners(tta=EVERYTHING), tmp_path)
    readable = images.without(set(first.compute(images)))
    assert images.reader.decoded.count("image-2") == 2, "as a sample and in one view, not in all"
    expected = first.load(readable)
    images.reader.decoded.clear()
    model, meter, asked = Corners(tta=EVERYTHING), Meter(), []
    again = viewed(model, tmp_path, meter)
    left_out = again.compute(images, commit=lambda: asked.append("for work"))
    assert [item.name for item in left_out.values()] == ["image-2"]
    assert (model.made_ready, model.seen, asked, images.reader.decoded) == ([], [], [], [])
    assert (meter.features_computed, meter.features_reused) == (0, 150)
    assert again.load(readable).tobytes() == expected.tobytes()
    assert meter.seconds["read"] > 0
    assert again.identity() == first.identity()


def test_what_breaks_off_between_views_goes_on_from_there(tmp_path):
    images, broken_off = photos(), Corners(tta=EVERYTHING)

    def refuse_the_third_size():
        if broken_off.made_ready[-1:] == [4] and len(broken_off.seen) == 120:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        viewed(broken_off, tmp_path / "off").compute(images, commit=refuse_the_third_size)
    resumed, meter = Corners(tta=EVERYTHING), Meter()
    features = viewed(resumed, tmp_path / "off", meter)
    features.compute(images)
    assert resumed.made_ready == [16]
    assert (meter.features_computed, meter.features_reused) == (60, 120)
    whole = viewed(Corners(tta=EVERYTHING), tmp_path / "whole")
    whole.compute(images)
    assert features.load(images).tobytes() == whole.load(images).tobytes()


def test_the_rate_is_that_of_photos_through_all_views(tmp_path):
    images, meter, model = photos(), Meter(), Corners(tta=Tta(scales=[1.0, 0.5]))
    viewed(model, tmp_path, meter).compute(images)
    rates = []
    for size in (8, 4):
        alone = Meter()
        viewed(Corners(image_size=size), tmp_path, alone).compute(images)
        rates.append(alone.images_per_second)
    assert meter.images_per_second == pytest.approx(1 / (1 / rates[0] + 1 / rates[1]))
    elsewhere = Engine(batch_size=7)  # which nobody has measured
    ViewAveragedFeatures(model, elsewhere, tmp_path, meter := Meter()).compute(images)
    assert meter.images_per_second is None


def test_views_that_differ_are_told_apart():
    choices = [
        Tta(),
        Tta(flip=True),
        Tta(scales=[0.5]),
        Tta(scales=[1.0, 0.5]),
        Tta(scales=[1.0, 2.0]),
        Tta(crops=Crops.center),
        Tta(crops=Crops.five),
        EVERYTHING,
    ]
    assert len({Corners(tta=views).variant for views in choices}) == len(choices)
    assert Corners().variant == "8px"
    lite0 = EfficientNetLite0(tta=Tta(flip=True, scales=[1.0, 0.7071]), weights="random")
    assert lite0.variant == "224px flip scales=1,0.7071 random 0"
    cache = Path("nothing is read")
    identities = {viewed(Corners(tta=views), cache).identity() for views in choices}
    assert len(identities) == len(choices)

    split = toy_split([0, 1], [0, 1])
    config = Config(DataSource("toy"), Pixels("pixels", 8), index=Exact("exact"), cache=Cache("x"))
    runs = {
        identity(replace(config, model=Pixels("pixels", 8, tta=views)), split) for views in choices
    }
    assert len(runs) == len(choices)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"scales": []}, "at least one scale"),
        ({"scales": [0.0]}, r"scales=\[0\]: scales must be positive numbers"),
        ({"scales": [1.0, -0.5]}, r"scales=\[1,-0\.5\]: scales must be positive numbers"),
        ({"scales": [float("nan")]}, "scales must be positive numbers"),
        ({"scales": [float("inf")]}, "scales must be positive numbers"),
        ({"scales": [1e308]}, "scales must be positive numbers"),
        ({"scales": [1e300]}, r"too many: at most 4096"),
        ({"scales": [1.0, 1.001]}, "the same 64 pixels"),
        ({"scales": [0.4]}, "0.4 times 64 is 26 pixels, too few for mobilenet, which needs 32"),
        ({"scales": [65.0]}, "65 times 64 is 4160 pixels, too many: at most 4096"),
    ],
)
def test_views_that_cannot_work_are_refused(options, message):
    backbone = Backbone("mobilenet", 64, "MobileNet", 1024, weights="random", tta=Tta(**options))
    with pytest.raises(BenchError, match=message) as refused:
        backbone.check()
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 200


def test_pixels_of_several_sizes_cannot_be_averaged():
    Pixels("pixels", 8, tta=Tta(flip=True, crops=Crops.five)).check()
    for scales in ([1.0, 0.5], [2.0]):
        with pytest.raises(BenchError, match="only vectors of one length"):
            Pixels("pixels", 8, tta=Tta(scales=scales)).check()
    with pytest.raises(BenchError, match="0 pixels, too few for pixels"):
        Pixels("pixels", 8, tta=Tta(scales=[0.01])).check()


def test_they_are_typed_options():
    made = OmegaConf.to_object(
        OmegaConf.merge(
            OmegaConf.structured(Backbone),
            {"name": "n", "keras": "VGG16", "image_size": 64, "dim": 512},
            {"tta": {"flip": True, "scales": [1, 0.5], "crops": "five"}},
        )
    )
    views = Tta(flip=True, scales=[1.0, 0.5], crops=Crops.five)
    assert made == Backbone("n", 64, "VGG16", 512, tta=views)
    assert Backbone("n", 64, "VGG16", 512).tta == Tta()


def test_a_whole_run(tmp_path):
    register()
    overrides = ["data=synthetic", "model=pixels", "model.image_size=16", "pca.n=8"]
    chosen = ["model.tta.flip=true", "model.tta.crops=five", f"cache.dir={tmp_path}"]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        config = to_config(compose("config", [*overrides, *chosen]))
    split, meter = config.data.load(seed=0, cache=tmp_path), Meter()
    method = build(config, meter)
    method.check(split)
    split = split.without(method.extract(split.images, commit=lambda: None))
    method.fit(split)
    ranking = method.rank(split, depth(config, split))
    assert meter.features_computed == 10 * len(split.images)
    assert np.isfinite(ranking.scores).all()
    found = split.gallery.labels[ranking.indices[:, 0]]
    assert (found == split.query.labels).mean() > 0.2, "ten classes"


@pytest.mark.slow
def test_a_network_sees_what_is_cut_and_mirrored(tmp_path):
    """Against Keras by hand; two sizes are two conversions, shared by crops and mirrored ones."""
    views = Tta(flip=True, scales=[1.0, 1.5], crops=Crops.center)
    backbone = Backbone("mobilenet", 32, "MobileNet", 1024, weights="random", tta=views)
    images = photos(4)
    features = viewed(backbone, tmp_path)
    features.compute(images)
    found = features.load(images)
    assert len(list((tmp_path / "models").iterdir())) == 2
    expected = np.zeros((4, 1024))
    for size in (32, 48):
        network = replace(backbone, image_size=size).build()
        whole = round(size / 0.875)
        start = (whole - size) // 2
        for row in range(4):
            image = resize(images.read(row), whole)[start : start + size, start : start + size]
            for seen in (image, image[:, ::-1]):
                vector = np.asarray(network(seen[None].astype(np.float32), training=False))[0]
                expected[row] += unit(vector.astype(np.float64))
    for row in range(4):
        np.testing.assert_allclose(found[row], unit(expected[row]), rtol=1e-3, atol=1e-6)
