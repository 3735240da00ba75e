"""Running a network over a stream of images, through whichever engine was asked for."""

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
    """Get a network ready to embed; see `Extractor.embedder`.

    Raises
    ------
    BenchError
        If the weights cannot be had, or a conversion disagrees with Keras.
    """
    from outliers_bench.engines.options import resolve_for_network

    engine = resolve_for_network(backbone, engine, cache)
    if engine.kind is EngineKind.openvino:
        return _OpenVino(backbone, engine, cache, sample)
    from outliers_bench.engines.keras import KerasEmbedder

    return KerasEmbedder(backbone, engine, cache)


class _OpenVino:
    """Converts, or quantizes, at once; compiles when it is known how many images there are.

    Attributes
    ----------
    facts : dict of str to float
        Batch size, and the largest relative difference from Keras, which f32 was checked for.
    """

    def __init__(
        self, backbone: Network, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]
    ) -> None:
        from outliers_bench.engines.model_cache import read_record
        from outliers_bench.engines.openvino_convert import DIFFERENCE, convert_or_load

        start = time.perf_counter()
        if engine.precision is Precision.int8:
            from outliers_bench.engines.quantize import quantize_or_load

            self._model = quantize_or_load(backbone, cache, sample)
        else:
            self._model = convert_or_load(backbone, cache, sample)
        self._spent = time.perf_counter() - start  # next to nothing where the model was kept
        self._size = backbone.image_size
        self._engine = engine
        self._run: Any = None
        difference = read_record(self._model).get(DIFFERENCE)
        self.facts: dict[str, float] = {}
        if difference is not None:
            self.facts["difference_from_keras"] = float(difference)

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        if self._run is None:
            self._run = self._ready(length_hint(images))
            self.facts["batch_size"] = self._run.batch
        embedded: Iterator[tuple[Key, FloatArray]] = self._run(images)
        return embedded

    def _ready(self, images: int) -> Any:  # noqa: ANN401 - OpenVinoRunner, which imports OpenVINO
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
        read_record = BatchSizeCache(self._model.with_name("batch.json"), here)

        def make(batch: int) -> OpenVinoRunner:
            return OpenVinoRunner(compile_model(self._model, batch, precision))

        if self._engine.batch_size != "auto":
            return check_batch_size(make, int(self._engine.batch_size), size, read_record)
        return tune_batch_size(
            make,
            size,
            read_record,
            images,
            candidates=candidate_batch_sizes(size),
            first=1,
            spare=CONVERSION_SHARE * self._spent,
        )
