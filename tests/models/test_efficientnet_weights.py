"""EfficientNet from a weight file: the network that Keras builds for its ImageNet weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from outliers_bench.models.applications import IMAGENET_MEAN, IMAGENET_STD
from outliers_bench.models.backbone import Backbone
from tests.models.saved_networks import (
    PIXELS,
    SIZE,
    features,
    keras_model,
    randomize,
    save_as_keras_releases,
)


def efficientnet(weights: Path | str) -> Backbone:
    return Backbone("efficientnetb0", SIZE, "EfficientNetB0", 1280, weights=str(weights))


def small_efficientnet(weights: str | None) -> Any:
    import keras
    from keras.src.applications.efficientnet import DEFAULT_BLOCKS_ARGS, EfficientNet

    keras.utils.clear_session()
    return EfficientNet(
        0.25,
        1.0,
        SIZE,
        blocks_args=DEFAULT_BLOCKS_ARGS[:1],
        weights=weights,
        weights_name="b0",
        include_top=False,
        pooling="avg",
        input_shape=(SIZE, SIZE, 3),
    )


def full_efficientnet(weights: str | None) -> Any:
    import keras

    keras.utils.clear_session()
    return keras.applications.EfficientNetB0(
        include_top=False, weights=weights, pooling="avg", input_shape=(SIZE, SIZE, 3)
    )


def assert_close(actual: Any, expected: Any) -> None:
    """Allow for rounding errors, which a deep network with random weights amplifies."""
    assert np.abs(np.asarray(actual) - expected).max() <= 1e-3 * np.abs(expected).max()


@pytest.mark.slow
@pytest.mark.parametrize("construct", [small_efficientnet, full_efficientnet])
def test_efficientnet_from_a_file_is_the_imagenet_variant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, construct: Any
) -> None:
    import keras
    from keras.src.utils import file_utils

    from outliers_bench.models.applications import restore_imagenet_rescaling
    from outliers_bench.models.load_weights import load_weights

    def load(file: Path) -> Any:
        network = construct(None)
        load_weights(network, file, model="b0")
        restore_imagenet_rescaling(network)
        return network

    keras.utils.set_random_seed(0)
    # weights="imagenet" builds a different graph; a fabricated file replaces the download.
    release = tmp_path / "download.h5"
    plain = construct(None)
    randomize(plain)
    normalization = next(la for la in plain.layers if isinstance(la, keras.layers.Normalization))
    normalization.load_own_variables({"0": IMAGENET_MEAN, "1": IMAGENET_STD**2, "2": np.array(1)})
    save_as_keras_releases(plain, release)
    without_rescaling = np.asarray(plain(PIXELS, training=False))
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(release))
    imagenet = construct("imagenet")
    saved = tmp_path / "saved.weights.h5"
    imagenet.save_weights(saved)
    expected = np.asarray(imagenet(PIXELS, training=False))
    assert np.abs(without_rescaling - expected).max() > 1e-2 * np.abs(expected).max()

    for file in (release, saved):
        network = load(file)
        assert_close(network(PIXELS, training=False), expected)

    # Saved and loaded again: the rescaling is not applied twice.
    again = tmp_path / "again.weights.h5"
    network.save_weights(again)
    assert_close(load(again)(PIXELS, training=False), expected)


@pytest.mark.slow
def test_efficientnet_trained_without_imagenets_normalization_is_not_changed(
    tmp_path: Path,
) -> None:
    file = tmp_path / "scratch.weights.h5"
    model = keras_model("EfficientNetB0", top=False)
    model.save_weights(file)
    expected = np.asarray(model(PIXELS, training=False))
    np.testing.assert_allclose(features(efficientnet(file)), expected, rtol=1e-4)
