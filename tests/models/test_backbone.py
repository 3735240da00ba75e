from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ValidationError

from outliers_bench.errors import BenchError
from outliers_bench.models.applications import MODULES, preprocess
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pooling import Pooling, replace_pooling

SIZE = 64
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)


def mobilenet(**options: object) -> Backbone:
    given = {"image_size": SIZE, "weights": "random"} | options
    return Backbone(name="mobilenet", keras="MobileNet", dim=1024, **given)


def test_a_backbone_is_a_structured_config() -> None:
    config = OmegaConf.structured(Backbone)
    model = OmegaConf.to_object(
        OmegaConf.merge(
            config,
            {"name": "n", "keras": "VGG16", "image_size": 32, "dim": 512, "pooling": "gem"},
        )
    )
    assert model == Backbone("n", 32, "VGG16", 512, pooling=Pooling.gem)
    with pytest.raises(ValidationError, match="pooling"):
        OmegaConf.merge(config, {"pooling": "median"})


def test_checks_and_identity_need_neither_keras_nor_tensorflow() -> None:
    code = (
        "import sys; from outliers_bench.models.backbone import Backbone;"
        "from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0;"
        "b = Backbone('n', 32, 'VGG16', 512); b.check(); b.space();"
        "EfficientNetLite0(weights='random').check();"
        "heavy = {'keras', 'tensorflow', 'h5py', 'cv2'} & set(sys.modules); assert not heavy, heavy"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"image_size": 31}, "image_size=31 is too small for mobilenet, which needs 32"),
        ({"gem_p": 0.0}, "gem_p=0"),
        ({"gem_p": float("nan")}, "gem_p=nan"),
        ({"weights": "imagnet"}, "did you mean imagenet"),
        ({"weights": "Random"}, "did you mean random"),
        ({"weights": "no/such.h5"}, "model.weights=no/such.h5: there is no such file"),
        ({"weights": "."}, "is not a file"),
        ({"weights": __file__}, r"not \.py"),
    ],
)
def test_invalid_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(BenchError, match=message):
        mobilenet(**options).check()


def test_an_unknown_network_is_refused() -> None:
    with pytest.raises(BenchError, match=r"VGG17.*did you mean VGG1"):
        Backbone("vgg17", 224, "VGG17", 512).check()


def test_the_space_contains_what_the_features_depend_on(tmp_path: Path) -> None:
    space = mobilenet().space()
    assert space["architecture"] == "MobileNet"
    assert space["preprocessing"] == "mobilenet"
    assert "gem_p" not in space
    assert mobilenet(gem_p=4.0).space() == space
    assert mobilenet(weights="imagenet").space()["weights"].startswith("imagenet@keras-3.")

    file = tmp_path / "a.weights.h5"
    file.write_bytes(b"one")
    copy = tmp_path / "b.h5"
    copy.write_bytes(b"one")
    of_file = mobilenet(weights=str(file)).space()
    assert len(str(of_file["weights"])) == 32
    assert mobilenet(weights=str(copy)).space() == of_file
    file.write_bytes(b"other")
    different = [
        mobilenet(weights=str(file)),
        mobilenet(random_seed=1),
        mobilenet(image_size=96),
        mobilenet(pooling=Pooling.max),
        mobilenet(pooling=Pooling.gem),
        mobilenet(pooling=Pooling.gem, gem_p=4.0),
    ]
    spaces = [space, of_file, *(model.space() for model in different)]
    assert len({str(sorted(one.items())) for one in spaces}) == len(spaces)


# The pixel RGB (10, 100, 200) after each network's preprocessing. Computed by hand, because a wrong
# module in the table of networks would agree with itself.
BGR_MINUS_MEANS = (200 - 103.939, 100 - 116.779, 10 - 123.68)
MINUS_ONE_TO_ONE = (-0.9215686, -0.2156863, 0.5686275)  # x / 127.5 - 1
TORCH = (-1.9466564, -0.2850140, 1.6813943)  # (x / 255 - mean) / standard deviation
UNCHANGED = (10, 100, 200)
PREPROCESSED = {
    BGR_MINUS_MEANS: "VGG16 VGG19 ResNet50 ResNet101 ResNet152",
    MINUS_ONE_TO_ONE: "ResNet50V2 ResNet101V2 ResNet152V2 InceptionV3 InceptionResNetV2 Xception "
    "MobileNet MobileNetV2 NASNetMobile NASNetLarge",
    TORCH: "DenseNet121 DenseNet169 DenseNet201",
    UNCHANGED: "ConvNeXtTiny ConvNeXtSmall ConvNeXtBase ConvNeXtLarge ConvNeXtXLarge "
    "EfficientNetB0 EfficientNetB1 EfficientNetB2 EfficientNetB3 EfficientNetB4 EfficientNetB5 "
    "EfficientNetB6 EfficientNetB7 EfficientNetV2B0 EfficientNetV2B1 EfficientNetV2B2 "
    "EfficientNetV2B3 EfficientNetV2S EfficientNetV2M EfficientNetV2L MobileNetV3Small "
    "MobileNetV3Large",
}
NETWORKS = [(name, expected) for expected, names in PREPROCESSED.items() for name in names.split()]


@pytest.mark.parametrize(("name", "expected"), NETWORKS, ids=[name for name, _ in NETWORKS])
def test_each_network_gets_its_own_preprocessing(name: str, expected: tuple[float, ...]) -> None:
    import keras

    pixel = keras.ops.convert_to_tensor(np.array([[[[10, 100, 200]]]], dtype=np.float32))
    np.testing.assert_allclose(np.asarray(preprocess(name, pixel))[0, 0, 0], expected, rtol=1e-5)


def test_the_preprocessing_of_all_networks_is_tested() -> None:
    assert len(NETWORKS) == 40
    assert {name for name, _ in NETWORKS} == {name for row in MODULES.values() for name in row}


def test_poolings_agree_with_their_definitions() -> None:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(0)  # with some random kernels, almost all outputs are 0
    images = keras.Input((SIZE, SIZE, 3))
    maps = keras.layers.Conv2D(8, 3, strides=16, activation="relu")(images)
    weights = keras.layers.GlobalAveragePooling2D(keepdims=True)(maps)
    maps = keras.layers.Multiply()([maps, weights])
    average = keras.layers.GlobalAveragePooling2D()(maps)
    network = keras.Model(images, keras.layers.Rescaling(2.0)(average))
    last = np.asarray(keras.Model(images, maps)(PIXELS / 255), dtype=np.longdouble)
    assert last.shape == (2, 4, 4, 8)
    assert last.std() > 0.01

    def pooled(pooling: Pooling, p: float = 3.0) -> np.ndarray:
        return np.asarray(replace_pooling(network, pooling, p=p)(PIXELS / 255)) / 2

    np.testing.assert_allclose(pooled(Pooling.avg), last.mean((1, 2)), rtol=1e-4)
    np.testing.assert_allclose(pooled(Pooling.max), last.max((1, 2)), rtol=1e-4)
    for p in (1.0, 3.0, 200.0):
        # Extended precision, because at p=200 the powers overflow float64.
        gem = (np.maximum(last, 1e-6) ** p).mean((1, 2)) ** (1 / p)
        np.testing.assert_allclose(pooled(Pooling.gem, p), gem, rtol=1e-4)


def test_a_pooling_is_part_of_the_network() -> None:
    features = {
        pooling: np.asarray(mobilenet(pooling=pooling).build()(PIXELS, training=False))
        for pooling in (Pooling.avg, Pooling.max)
    }
    assert (features[Pooling.max] >= features[Pooling.avg]).all()
    assert (features[Pooling.max] > features[Pooling.avg]).any()


@pytest.mark.slow
def test_random_weights_follow_the_seed() -> None:
    first, again, other = (
        np.asarray(mobilenet(random_seed=seed).build()(PIXELS, training=False))
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1 * first.max()


def test_a_wrong_dim_is_refused() -> None:
    with pytest.raises(BenchError, match=r"model\.dim=7, but MobileNet has 1024"):
        Backbone("n", SIZE, "MobileNet", 7, weights="random").build()


def test_a_failed_download_is_reported_with_solutions(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from keras.src.backend import config
    from keras.src.utils import file_utils

    def unreachable(*_: object, **__: object) -> None:
        raise URLError("Name or service not known")

    monkeypatch.setattr(file_utils, "urlretrieve", unreachable)
    monkeypatch.setattr(config, "_KERAS_DIR", str(tmp_path))  # set from KERAS_HOME at import
    with pytest.raises(BenchError) as caught:
        mobilenet(weights="imagenet", image_size=224).build()
    message = str(caught.value)
    assert "\n" not in message
    for part in (
        "mobilenet_1_0_224_tf_no_top.h5 is missing",
        f"{tmp_path}/models/mobilenet_1_0_224_tf_no_top.h5",
        "Name or service not known",
        "KERAS_HOME",
        "model.weights=<path>",
    ):
        assert part in message
