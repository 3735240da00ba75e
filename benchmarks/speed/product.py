"""The one place where the benchmarks call our own functions, with as little as may be of them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = 224
# Three networks of different size: name of the option, class in Keras, length of the embedding.
BACKBONES = {
    "mobilenet": ("MobileNet", 1024),
    "efficientnetb0": ("EfficientNetB0", 1280),
    "resnet50": ("ResNet50", 2048),
}


def openvino() -> Any:
    """OpenVINO without its telemetry."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def backbone(model: str, *, size: int = SIZE) -> Any:
    """A network with random weights, which take as long as others."""
    from outliers_bench.models.backbone import Backbone

    keras, dim = BACKBONES[model]
    return Backbone(name=model, image_size=size, keras=keras, dim=dim, weights="random")


def features(model: str, cache: Path, *, size: int = SIZE) -> tuple[Any, Any]:
    """The features of such a network, and a meter."""
    from outliers_bench.engines.options import Engine
    from outliers_bench.engines.protocols import EngineKind
    from outliers_bench.features.extract import Features
    from outliers_bench.runtime.meter import Meter

    engine, meter = Engine(kind=EngineKind.openvino), Meter.begun()
    return Features(backbone(model, size=size), engine, cache, meter), meter


def squares(model: str) -> Callable[[Path], Any]:
    """What makes the network's image of a photo: decoded no larger than it needs, and resized."""
    from outliers_bench.data.decode import decode

    network = backbone(model)
    return lambda photo: network.prepare(
        decode(photo.read_bytes(), name=photo.name, side=network.side)
    )


def models(cache: Path) -> set[Path]:
    """The converted models that are kept."""
    return set((cache / "models").glob("*/*.xml"))


def with_models(cache: Path, kept: Path) -> Path:
    """An empty cache that shares the converted models of another."""
    (kept / "models").mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True)
    (cache / "models").symlink_to(kept / "models", target_is_directory=True)
    return cache
