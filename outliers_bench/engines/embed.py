"""Embedding of a stream of images by a network, on the configured engine."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from operator import length_hint
from pathlib import Path
from typing import Any

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder, EngineKind, Key, Network, Precision
from outliers_bench.types import RGB, FloatArray


def network_embedder(
    backbone: Network, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]
) -> Embedder:
    """Prepare a network for embedding; see `Extractor.embedder`.

    Raises
    ------
    BenchError
        If the weights are unavailable, or the converted model disagrees with Keras.
    """
    from outliers_bench.engines.options import resolve_for_network

    engine = resolve_for_network(backbone, engine, cache)
    if engine.kind is EngineKind.openvino:
        return _OpenVinoEmbedder(backbone, engine, cache, sample)
    from outliers_bench.engines.keras import KerasEmbedder

    return KerasEmbedder(backbone, engine, cache)


class _OpenVinoEmbedder:
    """OpenVINO embedder: converts or quantizes at once, compiles when the image count is known.

    Attributes
    ----------
    facts : dict of str to float
        Batch size, the largest relative difference between the f32 model and Keras, and the mean
        cosine between int8 and f32.
    """

    def __init__(
        self, backbone: Network, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]
    ) -> None:
        from outliers_bench.engines.model_cache import read_record
        from outliers_bench.engines.openvino_convert import DIFFERENCE, convert_or_load
        from outliers_bench.engines.quantize import COSINE, quantize_or_load

        start = time.perf_counter()
        if engine.precision is Precision.int8:
            self._model = quantize_or_load(backbone, cache, sample)
        else:
            self._model = convert_or_load(backbone, cache, sample)
        self._seconds = time.perf_counter() - start  # near zero if the model was cached
        self._size = backbone.image_size
        self._engine = engine
        self._run: Any = None
        record = read_record(self._model)
        recorded = {"difference_from_keras": DIFFERENCE, COSINE: COSINE}
        self.facts: dict[str, float] = {
            fact: float(record[name])
            for fact, name in recorded.items()
            if record.get(name) is not None
        }

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        if self._run is None:
            self._run = self._make_runner(length_hint(images))
            self.facts["batch_size"] = self._run.batch
        embedded: Iterator[tuple[Key, FloatArray]] = self._run(images)
        return embedded

    def _make_runner(self, images: int) -> Any:  # noqa: ANN401 - OpenVinoRunner, which imports OpenVINO
        from outliers_bench.engines.batch_size import (
            CONVERSION_SHARE,
            check_batch_size,
            tune_batch_size,
        )
        from outliers_bench.engines.batch_size_cache import BatchSizeCache, machine_label
        from outliers_bench.engines.openvino_run import (
            OpenVinoRunner,
            candidate_batch_sizes,
            compile_model,
        )

        size, precision = self._size, self._engine.precision
        here = f"{machine_label()} | openvino {version('openvino')} | {precision.value}"
        record = BatchSizeCache(self._model.with_name("batch.json"), here)

        def make(batch: int) -> OpenVinoRunner:
            return OpenVinoRunner(compile_model(self._model, batch, precision))

        if self._engine.batch_size != "auto":
            return check_batch_size(make, int(self._engine.batch_size), size, record)
        return tune_batch_size(
            make,
            size,
            record,
            images,
            candidates=candidate_batch_sizes(size),
            first=1,
            spare=CONVERSION_SHARE * self._seconds,
        )
