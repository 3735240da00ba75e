"""Embedding of a stream of images by a network, on the configured engine."""

from __future__ import annotations

import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outliers_bench.engines.options import Engine, resolve_engine
from outliers_bench.engines.protocols import Embedder, EngineKind, Network, Precision
from outliers_bench.types import RGB


def network_embedder(
    backbone: Network, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]
) -> Embedder:
    """Prepare a network for embedding; see `Extractor.embedder`.

    Raises
    ------
    BenchError
        If the weights are unavailable, or the converted model disagrees with Keras.
    """
    engine = resolve_engine(engine, cache)
    if engine.kind is EngineKind.openvino:
        return _openvino_embedder(backbone, engine, cache, sample)
    from outliers_bench.engines.keras import keras_embedder

    return keras_embedder(backbone, engine, cache)


def _openvino_embedder(
    backbone: Network, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]
) -> Embedder:
    """Convert or quantize a network, unless the model is cached.

    Its facts are the largest relative difference between the f32 model and Keras, and the mean
    cosine between int8 and f32.
    """
    from outliers_bench.engines.batch_size import CONVERSION_SHARE, TunedEmbedder
    from outliers_bench.engines.batch_size_cache import BatchSizeCache, machine_label
    from outliers_bench.engines.model_cache import read_record
    from outliers_bench.engines.openvino_convert import DIFFERENCE, convert_or_load
    from outliers_bench.engines.openvino_run import (
        OpenVinoRunner,
        candidate_batch_sizes,
        compile_model,
    )
    from outliers_bench.engines.quantize import COSINE, quantize_or_load

    start, precision = time.perf_counter(), engine.precision
    prepare: Any = quantize_or_load if precision is Precision.int8 else convert_or_load
    model: Path = prepare(backbone, cache, sample)
    seconds = time.perf_counter() - start  # near zero if the model was cached
    record = read_record(model)
    recorded = {"difference_from_keras": record.get(DIFFERENCE), COSINE: record.get(COSINE)}
    here = f"{machine_label()} | openvino {version('openvino')} | {precision.value}"
    return TunedEmbedder(
        lambda batch: OpenVinoRunner(compile_model(model, batch, precision)),
        backbone.image_size,
        BatchSizeCache(model.with_name("batch.json"), here),
        batch_size=engine.batch_size,
        candidates=candidate_batch_sizes(backbone.image_size),
        first=1,
        spare=CONVERSION_SHARE * seconds,
        facts={name: float(fact) for name, fact in recorded.items() if fact is not None},
    )
