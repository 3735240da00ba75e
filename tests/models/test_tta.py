"""Options of test-time augmentation: views, labels, identities, and checks."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.benchmark import depth
from outliers_bench.config.identity import identity
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import Cache, Config, register, to_config
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0
from outliers_bench.models.pixels import Pixels
from outliers_bench.models.tta import Crop, Crops, Tta, View
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.runtime.meter import Meter
from tests.models.tta_toys import ALL_VIEWS, Corners, tta_features
from tests.toys import noise_images, toy_split


def test_flipping_twice_restores_the_image():
    image = noise_images(1, size=8).arrays["image-0"]
    flipped = View(8, flip=True).crop_image(image)
    assert np.array_equal(flipped[:, 0], image[:, -1])
    assert np.array_equal(flipped[0], image[0, ::-1])
    assert np.array_equal(View(8, flip=True).crop_image(flipped), image)
    assert np.array_equal(View(8).crop_image(image), image)


def test_positions_of_crops():
    resized = np.zeros((256, 256, 3), dtype=np.uint8)
    rows, columns = np.mgrid[:256, :256]
    resized[..., 0], resized[..., 1] = rows, columns
    origins = {
        view.crop: tuple(int(c) for c in view.crop_image(resized)[0, 0, :2])
        for view in Tta(crops=Crops.five).of(224)
    }
    assert origins == {
        Crop.top_left: (0, 0),
        Crop.top_right: (0, 32),
        Crop.bottom_left: (32, 0),
        Crop.bottom_right: (32, 32),
        Crop.center: (16, 16),
    }
    (center,) = Tta(crops=Crops.center).of(224)
    assert center.resized_size == 256
    assert center.crop_image(resized).shape == (224, 224, 3)
    assert np.array_equal(center.crop_image(resized)[-1, -1, :2], (16 + 223, 16 + 223))
    flipped = replace(center, flip=True).crop_image(resized)
    assert np.array_equal(flipped[0, 0, :2], (16, 16 + 223)), "the crop is flipped"


def test_there_is_one_view_per_combination():
    views = ALL_VIEWS.of(8)
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


def test_different_options_have_different_labels_and_identities():
    choices = [
        Tta(),
        Tta(flip=True),
        Tta(scales=[0.5]),
        Tta(scales=[1.0, 0.5]),
        Tta(scales=[1.0, 2.0]),
        Tta(crops=Crops.center),
        Tta(crops=Crops.five),
        ALL_VIEWS,
    ]
    assert len({Corners(tta=views).variant for views in choices}) == len(choices)
    assert Corners().variant == "8px"
    lite0 = EfficientNetLite0(tta=Tta(flip=True, scales=[1.0, 0.7071]), weights="random")
    assert lite0.variant == "224px flip scales=1,0.7071 random 0"
    cache = Path("not read")
    identities = {tta_features(Corners(tta=views), cache).identity() for views in choices}
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
def test_invalid_options_are_refused(options, message):
    backbone = Backbone("mobilenet", 64, "MobileNet", 1024, weights="random", tta=Tta(**options))
    with pytest.raises(BenchError, match=message) as caught:
        backbone.check()
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_pixels_of_several_sizes_cannot_be_averaged():
    Pixels("pixels", 8, tta=Tta(flip=True, crops=Crops.five)).check()
    for scales in ([1.0, 0.5], [2.0]):
        with pytest.raises(BenchError, match="only vectors of one length"):
            Pixels("pixels", 8, tta=Tta(scales=scales)).check()
    with pytest.raises(BenchError, match="0 pixels, too few for pixels"):
        Pixels("pixels", 8, tta=Tta(scales=[0.01])).check()


def test_tta_is_a_structured_config():
    model = OmegaConf.to_object(
        OmegaConf.merge(
            OmegaConf.structured(Backbone),
            {"name": "n", "keras": "VGG16", "image_size": 64, "dim": 512},
            {"tta": {"flip": True, "scales": [1, 0.5], "crops": "five"}},
        )
    )
    views = Tta(flip=True, scales=[1.0, 0.5], crops=Crops.five)
    assert model == Backbone("n", 64, "VGG16", 512, tta=views)
    assert Backbone("n", 64, "VGG16", 512).tta == Tta()


def test_a_run_with_tta(tmp_path):
    register()
    overrides = ["data=synthetic", "model=pixels", "model.image_size=16", "pca.n=8"]
    tta = ["model.tta.flip=true", "model.tta.crops=five", f"cache.dir={tmp_path}"]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        config = to_config(compose("config", [*overrides, *tta]))
    split, meter = config.data.load(seed=0, cache=tmp_path), Meter()
    method = config.method(meter)
    method.check(split)
    split = split.without(method.extract(split.images))
    method.fit(split)
    to_depth = depth(split, config.k, shown=config.contact_sheets.depth)
    ranking = method.index(split.gallery).query(split.query, to_depth, split.exclusion)
    assert meter.features_computed == 10 * len(split.images)
    assert np.isfinite(ranking.scores).all()
    found = split.gallery.labels[ranking.indices[:, 0]]
    assert (found == split.query.labels).mean() > 0.2, "ten classes"
