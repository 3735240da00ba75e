"""Which numbers the features are computed in: float32, or fewer bits."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, cast

from outliers_bench.engines.options import Engine, resolve_engine, resolve_for_network
from outliers_bench.engines.protocols import Precision
from outliers_bench.errors import BenchError
from outliers_bench.models.model import Model
from outliers_bench.store.features import Space
from outliers_bench.types import RGB

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network
    from outliers_bench.models.model import Describer

_log = logging.getLogger(__name__)
REDUCED = (Precision.bf16, Precision.int8)
_F32: Space = {"precision": "f32"}


def is_ready(describer: Describer, engine: Engine, cache: Path) -> bool:
    """Whether there is nothing for `make_ready` to do; see there."""
    network = get_network(describer)
    if (
        network is None
        or resolve_for_network(network, engine, cache).precision is not Precision.int8
    ):
        return True
    from outliers_bench.engines.quantize import quantized_path

    return quantized_path(network, cache).exists()


def make_ready(
    describer: Describer, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]
) -> None:
    """Quantize the describer's network for int8, unless that was done; nothing otherwise.

    The feature key has a digest of the quantized model in it, which must be there first.

    Parameters
    ----------
    describer : Describer
        A model, or a detector.
    engine : Engine
        What computes.
    cache : Path
        Directory of all that is kept.
    sample : callable
        Gives photos, prepared, to calibrate on; called once, if there is no quantized model.
    """
    network = get_network(describer)
    if network is None or is_ready(describer, engine, cache):
        return
    from outliers_bench.engines.quantize import quantize_or_load

    quantize_or_load(network, cache, sample)


def precision_space(describer: Describer, engine: Engine, cache: Path) -> Space:
    """What the precision adds to a feature space.

    float32 is the same from every engine. bfloat16 is rounded at other places by each, and of
    8 bits there is one kind for each set of photos that was calibrated on.

    Parameters
    ----------
    describer : Describer
        A model, or a detector; without a network it has but one precision.
    engine : Engine
        What computes.
    cache : Path
        Directory of all that is kept.
    """
    network = get_network(describer)
    if network is None:
        return _F32
    engine = resolve_for_network(network, engine, cache)
    if engine.precision is Precision.int8:
        from outliers_bench.engines.quantize import quantized_digest

        return {"precision": "int8", "quantized": quantized_digest(network, cache)}
    if engine.precision is Precision.bf16:
        return {"precision": "bf16", "engine": engine.kind.value}
    return _F32


def get_network(describer: object) -> Network | None:
    """The network of a describer, or None where there is none."""
    seen = getattr(describer, "extractor", describer)  # by a view
    return cast("Network", seen) if hasattr(seen, "build") else None


def resolve_precision(model: Model, engine: Engine, cache: Path) -> Precision:
    """What a model's features are computed in; of an ensemble, any of its networks'.

    Parameters
    ----------
    model : Model
        The `model=` option.
    engine : Engine
        What was asked for.
    cache : Path
        Where it is kept whether there is a GPU.
    """
    if any(_has_network(part) for part in _members(model)):
        return resolve_engine(engine, cache).precision
    return Precision.f32


def precision_label(model: Model, engine: Engine, cache: Path) -> str:
    """The precision as tables tell it: nothing for f32."""
    precision = resolve_precision(model, engine, cache)
    return "" if precision is Precision.f32 else precision.value


def check_model(model: Model, engine: Engine) -> None:
    """Refuse a precision for networks that are trained in the same run, or rank by classes.

    Raises
    ------
    BenchError
    """
    if engine.precision not in REDUCED:
        return
    asked = f"engine.precision={engine.precision.value}"
    for part in _members(model):
        if not getattr(part, "ready", True):
            raise BenchError(
                f"{asked}: {part.name} is trained in this run, on features in float32; train it "
                "first, and give the run's network as model.weights=runs:/<run id>/model"
            )
        if hasattr(part, "ready") and not part.embeds:
            raise BenchError(
                f"{asked}: what it costs is measured on embeddings, and model.rank_by=class_scores "
                "has none; take model.rank_by=embedding"
            )
    if not any(_has_network(part) for part in _members(model)):
        _log.warning("%s changes nothing: model=%s has no network", asked, model.name)


def _members(model: Model) -> tuple[Model, ...]:
    parts: tuple[Model, ...] = getattr(model, "models", (model,))
    return parts


def _has_network(model: Model) -> bool:
    # A backbone, or a network that an earlier run has trained; what this run trains is float32.
    return hasattr(model, "build") or bool(getattr(model, "ready", False))
