"""Networks of keras.applications, built as in the Keras tutorials."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from benchmarks.speed.product import BACKBONES

MODULES = {"mobilenet": "mobilenet", "efficientnetb0": "efficientnet", "resnet50": "resnet50"}


def build_network(model: str, size: int) -> tuple[Any, Callable[[Any], Any]]:
    """Build the pooled network with random weights; return it with its `preprocess_input`."""
    import keras

    module = importlib.import_module(f"keras.applications.{MODULES[model]}")
    make = getattr(keras.applications, BACKBONES[model][0])
    network = make(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
    return network, module.preprocess_input
