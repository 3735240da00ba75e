"""Calls into `outliers_bench`; the other modules of this package use it only through these."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

SIZE = 224
# Three networks of different size: name of the option, class in Keras, embedding dimensions.
BACKBONES = {
    "mobilenet": ("MobileNet", 1024),
    "efficientnetb0": ("EfficientNetB0", 1280),
    "resnet50": ("ResNet50", 2048),
}


def import_openvino() -> Any:
    """Import OpenVINO without its telemetry."""
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def backbone(model: str, *, size: int = SIZE) -> Any:
    """Return a network with random weights, which take as long as trained ones."""
    from outliers_bench.models.backbone import Backbone

    keras, dim = BACKBONES[model]
    return Backbone(name=model, image_size=size, keras=keras, dim=dim, weights="random")


def features(model: str, cache: Path, *, size: int = SIZE) -> tuple[Any, Any]:
    """Return the features of such a network, and their meter."""
    from outliers_bench.engines.options import Engine
    from outliers_bench.engines.protocols import EngineKind
    from outliers_bench.features.extract import Features
    from outliers_bench.runtime.meter import Meter

    engine, meter = Engine(kind=EngineKind.openvino), Meter.start()
    return Features(backbone(model, size=size), engine, cache, meter), meter


def image_loader(model: str) -> Callable[[Path], Any]:
    """Return a function that decodes a photo, no larger than needed, and resizes it."""
    from outliers_bench.data.decode import decode

    network = backbone(model)
    return lambda photo: network.prepare(
        decode(photo.read_bytes(), name=photo.name, side=network.side)
    )


def converted_models(cache: Path) -> set[Path]:
    """Return the converted models in a cache."""
    return set((cache / "models").glob("*/*.xml"))


def new_cache(cache: Path, source: Path) -> Path:
    """Make an empty cache that shares the converted models of another one."""
    (source / "models").mkdir(parents=True, exist_ok=True)
    cache.mkdir(parents=True)
    (cache / "models").symlink_to(source / "models", target_is_directory=True)
    return cache
