"""Precision of feature computation: float32, bfloat16 or int8."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, cast

from outliers_bench.engines.options import Engine, resolve_engine
from outliers_bench.engines.protocols import Precision
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Model
from outliers_bench.store.features import Space

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network
    from outliers_bench.models.model import Describer

_log = logging.getLogger(__name__)
REDUCED = (Precision.bf16, Precision.int8)
_F32: Space = {"precision": "f32"}


def unquantized(describer: Describer, engine: Engine, cache: Path) -> Network | None:
    """Return the network that must be quantized before the feature space is known, if any.

    The feature key contains a digest of the quantized model.
    """
    network = get_network(describer)
    if network is None:
        return None
    if resolve_engine(engine, cache).precision is not Precision.int8:
        return None
    from outliers_bench.engines.model_cache import is_stored
    from outliers_bench.engines.quantize import quantized_path

    return None if is_stored(quantized_path(network, cache)) else network


def precision_space(describer: Describer, engine: Engine, cache: Path) -> Space:
    """Return the part of a feature space that depends on the precision and the batch size.

    float32 features are shared by all engines. Engines round bfloat16 at different points, and
    int8 features depend on the photos used for calibration. The batch sizes of `auto` give the
    same vectors; one that the user gives may not. Without a network, there is only one precision.
    """
    network = get_network(describer)
    if network is None:
        return _F32
    engine = resolve_engine(engine, cache)
    batch: Space = {} if engine.batch_size == "auto" else {"batch_size": engine.batch_size}
    if engine.precision is Precision.int8:
        from outliers_bench.engines.quantize import quantized_digest

        return {"precision": "int8", "quantized": quantized_digest(network, cache), **batch}
    if engine.precision is Precision.bf16:
        return {"precision": "bf16", "engine": engine.kind.value, **batch}
    return {**_F32, **batch}


def get_network(describer: object) -> Network | None:
    """Return the network of a describer, or None if it has none."""
    extractor = getattr(describer, "extractor", describer)  # the model of a view
    return cast("Network", extractor) if hasattr(extractor, "build") else None


def precision_label(model: Model, engine: Engine, cache: Path) -> str:
    """Return the precision of a model, or of the networks of an ensemble; empty for f32."""
    if not any(map(_has_network, model.models)):
        return ""
    precision = resolve_engine(engine, cache).precision
    return "" if precision is Precision.f32 else precision.value


def given_batch_size(model: Model, engine: Engine) -> int | None:
    """Return the batch size that the user gives for a network, which may affect its last bits."""
    if engine.batch_size == "auto":
        return None
    has_network = any(
        _has_network(part) or not getattr(part, "ready", True) for part in model.models
    )
    return int(engine.batch_size) if has_network else None


def check_model(model: Model, engine: Engine) -> None:
    """Check that the precision is supported by a model.

    Raises
    ------
    BenchError
        If the model is trained in the same run.
    """
    if engine.precision not in REDUCED:
        return
    option = f"engine.precision={engine.precision.value}"
    for part in model.models:
        if not getattr(part, "ready", True):
            raise BenchError(
                f"{option}: {part.name} is trained in this run, on float32 features; train it "
                "first, then set model.weights=runs:/<run id>/model to the trained network"
            )
    if not any(map(_has_network, model.models)):
        _log.warning("%s has no effect: model=%s has no network", option, model.name)


def _has_network(model: Model) -> bool:
    # A backbone, or a network trained by an earlier run; those trained in this run use float32.
    return hasattr(model, "build") or bool(getattr(model, "ready", False))
