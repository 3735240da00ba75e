"""The networks of keras.applications: names, preprocessing, ImageNet weights."""

from __future__ import annotations

import socket
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError, WeightsUnavailableError

# Networks by the module of keras.applications that has their preprocess_input. Listed here because
# importing Keras takes 11 s and `check` must take milliseconds.
MODULES = {
    "convnext": [f"ConvNeXt{size}" for size in ("Tiny", "Small", "Base", "Large", "XLarge")],
    "densenet": ["DenseNet121", "DenseNet169", "DenseNet201"],
    "efficientnet": [f"EfficientNetB{n}" for n in range(8)],
    "efficientnet_v2": [f"EfficientNetV2{s}" for s in ("B0", "B1", "B2", "B3", "S", "M", "L")],
    "inception_resnet_v2": ["InceptionResNetV2"],
    "inception_v3": ["InceptionV3"],
    "mobilenet": ["MobileNet"],
    "mobilenet_v2": ["MobileNetV2"],
    "mobilenet_v3": ["MobileNetV3Small", "MobileNetV3Large"],
    "nasnet": ["NASNetMobile", "NASNetLarge"],
    "resnet": ["ResNet50", "ResNet101", "ResNet152"],
    "resnet_v2": ["ResNet50V2", "ResNet101V2", "ResNet152V2"],
    "vgg16": ["VGG16"],
    "vgg19": ["VGG19"],
    "xception": ["Xception"],
}

# EfficientNet's normalization with ImageNet weights.
IMAGENET_MEAN = np.array([0.485, 0.456, 0.406])
IMAGENET_STD = np.array([0.229, 0.224, 0.225])
TOLERANCE = 1e-3

# Seconds without an answer after which a download fails; Keras itself waits forever.
DOWNLOAD_TIMEOUT = 20.0


def module_of(name: str) -> str:
    """Return the module of keras.applications that has the preprocessing of a class there.

    Raises
    ------
    BenchError
        If there is no such network; the message names the closest ones.
    """
    for module, names in MODULES.items():
        if name in names:
            return module
    known = [known for names in MODULES.values() for known in names]
    close = get_close_matches(name, known) or sorted(known)
    raise BenchError(
        f"model.keras={name}: keras.applications has no such network; "
        f"did you mean {' or '.join(close)}?"
    )


def preprocess(name: str, images: Any) -> Any:  # noqa: ANN401 - a Keras tensor
    """Apply a network's own preprocessing to RGB 0..255, shape (batch, size, size, 3)."""
    import keras

    return getattr(keras.applications, module_of(name)).preprocess_input(images)


def build_application(name: str, image_size: int, *, pretrained: bool) -> Any:  # noqa: ANN401
    """Build a network of keras.applications without its top, with global average pooling.

    It maps preprocessed float32 (batch, image_size, image_size, 3) to (batch, dim). `pretrained`
    weights are those of ImageNet, which Keras downloads unless they are in its cache.

    Raises
    ------
    WeightsUnavailableError
        If the weights are unavailable; the message has the missing file, where Keras looks for it,
        and what to do.
    """
    import keras

    module_of(name)
    try:
        with _network_timeout(DOWNLOAD_TIMEOUT):
            return getattr(keras.applications, name)(
                include_top=False,
                weights="imagenet" if pretrained else None,
                input_shape=(image_size, image_size, 3),
                pooling="avg",
            )
    except Exception as error:  # Keras raises a bare Exception for a failed download
        missing = _missing_file(error)
        if missing is None:
            raise
        origin, target = missing
        reason = " ".join(str(error).split()) or type(error).__name__
        raise WeightsUnavailableError(
            f"model.weights=imagenet: {Path(target).name} is missing (Keras' ImageNet weights of "
            f"{name}) and cannot be downloaded ({reason}). Give this machine network "
            f"access to {origin}, put the file at {target} (Keras looks in $KERAS_HOME/models, by "
            "default ~/.keras/models), set model.weights=<path> to the file, or set "
            "weights_dir=<folder> to a folder of such files"
        ) from error


@contextmanager
def _network_timeout(seconds: float) -> Iterator[None]:
    previous = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(previous)


def _missing_file(error: Exception) -> tuple[str, str] | None:
    """Return the URL and target path of the download that failed; None for any other error.

    Keras' message has the URL at most; the stack frame of its `get_file` has both.
    """
    for frame, _ in traceback.walk_tb(error.__traceback__):
        if frame.f_code.co_name == "get_file" and "download_target" in frame.f_locals:
            return str(frame.f_locals["origin"]), str(frame.f_locals["download_target"])
    return None


def restore_imagenet_rescaling(network: Any) -> None:  # noqa: ANN401 - keras.Model
    """Fold the rescaling that ImageNet weights need into the normalization layer.

    ``weights="imagenet"`` adds a rescaling by ``1 / sqrt(std)`` after the normalization, which
    those weights need; ``weights=None`` does not. Dividing by ``sqrt(variance)`` and then by
    ``sqrt(std)`` is dividing by ``sqrt(variance * std)``, so the rescaling goes into the variance.

    Parameters
    ----------
    network : keras.Model
        An EfficientNet built with ``weights=None`` and loaded from a file. It is not changed if it
        was trained without ImageNet's normalization (mean 0).

    References
    ----------
    https://github.com/tensorflow/tensorflow/issues/49930
    """
    import keras

    layer = next(la for la in network.layers if isinstance(la, keras.layers.Normalization))
    stored: dict[str, Any] = {}
    layer.save_own_variables(stored)
    mean, variance, count = (np.asarray(stored[index]) for index in ("0", "1", "2"))
    if not np.allclose(mean, IMAGENET_MEAN, atol=TOLERANCE):
        return
    if np.allclose(variance, IMAGENET_STD**3, atol=TOLERANCE):
        return  # saved from a network that already has the rescaling
    layer.load_own_variables({"0": mean, "1": variance * IMAGENET_STD, "2": count})
