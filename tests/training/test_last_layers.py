"""The default layers of `trainable=last_layers`, for toy networks and real backbones."""

from __future__ import annotations

from typing import Any

import pytest

from outliers_bench.models.backbone import Backbone
from outliers_bench.training.last_layers import last_layers


def convolve(x: Any, name: str, *, kind: str = "Conv2D") -> Any:
    import keras

    options = {"padding": "same", "name": name, "use_bias": False}
    if kind == "DepthwiseConv2D":
        return keras.layers.DepthwiseConv2D(3, **options)(x)
    x = getattr(keras.layers, kind)(3, 3, **options)(x)
    return keras.layers.BatchNormalization(name=f"{name}_norm")(x)


def convolve_all(x: Any, *names: str) -> Any:
    for name in names:
        x = convolve(x, name)
    return x


def network(images: Any, x: Any) -> Any:
    import keras

    return keras.Model(images, keras.layers.GlobalAveragePooling2D()(x), name="toy")


def begin() -> tuple[Any, Any]:
    """Return input and output of 14 convolutions, so that a tail is at most a third of them all."""
    import keras

    keras.utils.clear_session()
    images = keras.Input((8, 8, 3))
    return images, convolve_all(images, *(f"early{number}" for number in range(14)))


def test_the_last_four_layers_of_a_chain() -> None:
    images, x = begin()
    names = last_layers(network(images, convolve_all(x, "a", "b", "c")), "Toy")
    assert names == ["c", "b", "a", "early13"]


def test_separable_convolutions_have_two_kernels_and_depthwise_ones_one() -> None:
    images, x = begin()
    x = convolve(convolve(x, "a", kind="SeparableConv2D"), "b", kind="DepthwiseConv2D")
    assert last_layers(network(images, convolve(x, "c")), "Toy") == ["c", "b", "a"]


def test_a_residual_block_is_not_split() -> None:
    import keras

    images, x = begin()
    for block in "ab":
        inner = convolve_all(x, f"{block}1", f"{block}2", f"{block}3")
        x = keras.layers.Add()([x, inner])
    names = last_layers(network(images, x), "Toy")
    assert names == ["b3", "b2", "b1", "a3", "a2", "a1"]


def test_parallel_branches_are_trained_together() -> None:
    import keras

    images, x = begin()
    branches = [convolve_all(x, f"{branch}1", f"{branch}2") for branch in "abc"]
    names = last_layers(network(images, keras.layers.Concatenate()(branches)), "Toy")
    assert sorted(names) == ["a1", "a2", "b1", "b2", "c1", "c2"]


def test_a_gate_is_trained_but_not_counted() -> None:
    import keras

    images, x = begin()
    x = convolve_all(x, "a", "b")
    gate = keras.layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = keras.layers.Conv2D(2, 1, activation="relu", name="reduce")(gate)
    gate = keras.layers.Conv2D(3, 1, activation="sigmoid", name="expand")(gate)
    x = convolve_all(keras.layers.Multiply()([x, gate]), "c", "d")
    names = last_layers(network(images, x), "Toy")
    assert names == ["d", "c", "expand", "reduce", "b", "a"]


def test_a_normalization_after_the_pooling_is_included() -> None:
    import keras

    images, x = begin()
    x = keras.layers.GlobalAveragePooling2D()(convolve_all(x, "a"))
    x = keras.layers.LayerNormalization(name="after")(x)
    names = last_layers(keras.Model(images, x), "Toy")
    assert names == ["after", "a", "early13", "early12", "early11"]


def test_cells_that_take_two_inputs_may_be_split_at_two_tensors() -> None:
    import keras

    images, previous = begin()
    x = convolve(previous, "first")
    for cell in range(4):
        left = convolve_all(x, f"left{cell}")
        right = convolve_all(previous, f"right{cell}", f"end{cell}")
        middle = convolve(x, f"middle{cell}")
        previous, x = x, keras.layers.Concatenate()([left, right, middle])
    # The only cut through a single tensor is before the first cell, with 17 of 31 kernels.
    names = last_layers(network(images, x), "Toy")
    assert sorted(names) == ["end3", "left3", "middle3", "right3"]


def test_all_layers_of_a_small_network() -> None:
    import keras

    images = keras.Input((8, 8, 3))
    assert last_layers(network(images, convolve_all(images, "a", "b")), "Toy") == ["b", "a"]


# The backbones of the original (VGG16 and ResNet50), and one of each other architecture.
REAL = {
    "VGG16": "block5_conv3 block5_conv2 block5_conv1 block4_conv3",
    "MobileNet": "conv_pw_13 conv_dw_13 conv_pw_12 conv_dw_12",
}
REAL_SLOW = {
    "ResNet50": "conv5_block3_3_conv conv5_block3_1_conv conv5_block2_3_conv",
    "ResNet50V2": "conv5_block3_3_conv conv5_block3_2_conv conv5_block3_1_conv "
    "conv5_block2_3_conv conv5_block2_2_conv conv5_block2_1_conv",
    "MobileNetV2": "Conv_1 block_16_project block_16_depthwise block_16_expand",
    "MobileNetV3Small": "conv_1 expanded_conv_10_project "
    "expanded_conv_10_squeeze_excite_conv_1 expanded_conv_10_squeeze_excite_conv "
    "expanded_conv_10_depthwise expanded_conv_10_expand",
    "EfficientNetB0": "top_conv block7a_project_conv block7a_se_expand block7a_se_reduce "
    "block7a_dwconv block7a_expand_conv",
    "EfficientNetV2B3": "top_conv block6l_project_conv block6l_se_expand block6l_se_reduce "
    "block6l_dwconv2 block6l_expand_conv",
    "DenseNet121": "conv5_block16_2_conv conv5_block16_1_conv conv5_block15_2_conv "
    "conv5_block15_1_conv",
    "Xception": "block14_sepconv2 block14_sepconv1",
    "InceptionV3": " ".join(f"conv2d_{number}" for number in (93, 85, 92, 91, 88, 87, 90, 86, 89)),
    "NASNetMobile": " ".join(
        f"separable_conv_{number}_normal_{branch}_12"
        for number in (2, 1)
        for branch in ("left5", "right2", "left2", "right1", "left1")
    ),
    "ConvNeXtTiny": "layer_normalization "
    + " ".join(
        f"convnext_tiny_stage_3_block_{block}_{layer}"
        for block in (2, 1)
        for layer in (
            "layer_scale",
            "pointwise_conv_2",
            "pointwise_conv_1",
            "layernorm",
            "depthwise_conv",
        )
    ),
}


@pytest.mark.parametrize(
    "name", [*REAL, *(pytest.param(name, marks=pytest.mark.slow) for name in REAL_SLOW)]
)
def test_the_last_block_of_real_backbones(name: str) -> None:
    side = 75 if name in ("InceptionV3", "Xception") else 32
    bare = Backbone(name, side, name, 0, weights="random").bare()
    assert sorted(last_layers(bare, name)) == sorted((REAL | REAL_SLOW)[name].split())
