"""All backbones of conf/model, compared with Keras and OpenVINO, with random weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from omegaconf import OmegaConf

from outliers_bench.engines.openvino_convert import read_graph
from outliers_bench.models.applications import MODULES, preprocess
from outliers_bench.models.backbone import Backbone

CONF = Path(__file__).parents[2] / "conf" / "model"
NAMES = sorted(
    path.stem
    for path in CONF.glob("*.yaml")
    if {"/schema/model@_here_": "backbone"} in OmegaConf.load(path).defaults
)


def backbone(name: str, **options: object) -> Backbone:
    row = OmegaConf.load(CONF / f"{name}.yaml")
    row.pop("defaults")
    model = OmegaConf.to_object(OmegaConf.merge(OmegaConf.structured(Backbone), row, options))
    assert isinstance(model, Backbone)
    return model


def test_conf_has_all_networks() -> None:
    assert len(NAMES) == 40
    rows = [backbone(name) for name in NAMES]
    assert {row.keras for row in rows} == {name for names in MODULES.values() for name in names}
    assert [row.name for row in rows] == NAMES == [row.keras.lower() for row in rows]
    for row in rows:
        row.check()


def test_conf_has_the_networks_of_keras() -> None:
    keras = pytest.importorskip("keras")
    exported = {
        name for name in dir(keras.applications) if callable(getattr(keras.applications, name))
    }
    assert {backbone(name).keras for name in NAMES} == exported


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", NAMES)
def test_features_agree_with_keras(name: str) -> None:
    import keras
    import openvino
    import tensorflow as tf

    small = max(64, backbone(name).min_image_size)
    row = backbone(name, weights="random", image_size=small, random_seed=3)
    pixels = np.random.default_rng(0).uniform(0, 255, (2, small, small, 3)).astype(np.float32)
    constructor = getattr(keras.applications, row.keras)

    keras.utils.clear_session()
    keras.utils.set_random_seed(3)
    shape = (small, small, 3)
    reference = constructor(weights=None, include_top=False, pooling="avg", input_shape=shape)
    expected = reference.predict(preprocess(row.keras, pixels.copy()), verbose=0)
    del reference
    assert np.isfinite(expected).all()
    assert expected.std() > 0

    model = row.build()
    features = model.predict(pixels, verbose=0)
    assert features.shape == (2, row.dim)
    assert difference(features, expected) < 1e-4

    # With random weights, activations of the deepest network explode: Keras' own features change by
    # 65% if the input changes by 1e-7, so they cannot validate a conversion.
    if np.abs(expected).max() > 1e4:
        halve_batch_norms(model)
        expected = model.predict(pixels, verbose=0)
    forward = tf.function(
        lambda x: model(x, training=False),
        input_signature=[tf.TensorSpec((None, small, small, 3), tf.float32)],
    )
    converted = read_graph(forward.get_concrete_function())
    compiled = openvino.compile_model(converted, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    assert difference(compiled(pixels)[0], expected) < 1e-4

    too_small = (row.min_image_size - 1, row.min_image_size - 1, 3)
    with pytest.raises(ValueError, match="Input size must be at least"):
        constructor(weights=None, include_top=False, input_shape=too_small)


def difference(features: np.ndarray, expected: np.ndarray) -> float:
    return float(np.abs(features - expected).max() / np.abs(expected).max())


def halve_batch_norms(model: Any) -> None:
    for variable in model.weights:
        if variable.name == "gamma":
            variable.assign(variable * 0.5)
