"""A network of keras.applications as a tutorial builds it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from benchmarks.speed.product import BACKBONES

MODULES = {"mobilenet": "mobilenet", "efficientnetb0": "efficientnet", "resnet50": "resnet50"}


def built(model: str, size: int) -> tuple[Any, Callable[[Any], Any]]:
    """The pooled network with random weights, and the function its images go through before."""
    import keras

    module = importlib.import_module(f"keras.applications.{MODULES[model]}")
    make = getattr(keras.applications, BACKBONES[model][0])
    network = make(weights=None, include_top=False, pooling="avg", input_shape=(size, size, 3))
    return network, module.preprocess_input
