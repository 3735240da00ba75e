"""Inference with OpenVINO on the CPU: compiled for a batch size, several requests in flight."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.engines.batches import batches
from outliers_bench.engines.protocols import Key, Precision
from outliers_bench.errors import BenchError
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, FloatArray

_BATCH_SIZES = (1, 2, 4, 8, 16)
_MAX_PIXELS = 16 * 512 * 512  # in a request; the network's feature maps are many times as large


def import_openvino() -> Any:  # noqa: ANN401 - openvino is untyped
    """Import OpenVINO without its telemetry, because photos may be private."""
    # An entry of None counts as not installed, and OpenVINO uses its stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def capabilities() -> list[str]:
    """Return the number formats that the processor supports, such as FP32, BF16 and INT8."""
    names = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [str(name) for name in names]


def candidate_batch_sizes(size: int) -> list[int]:
    """Return the batch sizes to try for images with the given side in pixels.

    Examples
    --------
    >>> [candidate_batch_sizes(size) for size in (224, 1024, 4096)]
    [[1, 2, 4, 8, 16], [1, 2, 4], [1]]
    """
    return [batch for batch in _BATCH_SIZES if batch == 1 or batch * size**2 <= _MAX_PIXELS]


def compile_model(model: Path, batch: int, precision: Precision = Precision.f32) -> Any:  # noqa: ANN401
    """Compile a cached model, for requests of uint8, shape (batch, image_size, image_size, 3).

    `precision` is bf16, or f32 for anything else: a quantized model has its 8 bits in the file.

    Raises
    ------
    BenchError
        If that many images do not fit into memory.
    """
    core = import_openvino().Core()
    network = core.read_model(model)
    shape = network.input().partial_shape
    shape[0] = batch
    network.reshape(shape)
    # Without the precision hint, processors with bfloat16 use it by default. Several parallel
    # requests are faster than one on all cores.
    hint = "bf16" if precision is Precision.bf16 else "f32"
    options: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": hint}
    if cores() < (os.cpu_count() or 1):  # a container's quota, which OpenVINO does not see
        options["INFERENCE_NUM_THREADS"] = cores()
    try:
        return core.compile_model(network, "CPU", options)
    except RuntimeError as error:
        if "bad_alloc" not in str(error):
            raise
        raise BenchError(
            f"engine.batch_size={batch}: too many images for the memory; use a smaller batch size"
        ) from error


class OpenVinoRunner:
    """Runner of a compiled model, with several requests in flight."""

    def __init__(self, network: Any) -> None:  # noqa: ANN401 - openvino is untyped
        self.batch = int(network.input().shape[0])
        # Twice as many as it computes at a time, so that a request is ready when another ends:
        # the thread that submits them has to wait for a core.
        jobs = 2 * int(network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._queue = import_openvino().AsyncInferQueue(network, jobs)
        self._done: deque[tuple[list[Key], FloatArray]] = deque()
        self._queue.set_callback(self._collect)

    def __len__(self) -> int:
        """Return the maximum number of requests in flight."""
        return len(self._queue)

    def _collect(self, request: Any, keys: list[Key]) -> None:  # noqa: ANN401 - openvino is untyped
        self._done.append((keys, request.get_output_tensor().data.copy()))

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        for keys, stack in batches(images, self.batch):
            self._queue.start_async({0: stack}, keys)
            yield from self._pop_done()
        self._queue.wait_all()
        yield from self._pop_done()

    def _pop_done(self) -> Iterator[tuple[Key, FloatArray]]:
        while self._done:
            keys, vectors = self._done.popleft()
            yield from zip(keys, vectors, strict=False)


def embed_images(model: Path, images: list[RGB]) -> FloatArray:
    """Embed a few images, at most 256, with a model; one row for each."""
    run = OpenVinoRunner(compile_model(model, 1))
    vectors = dict(run((bytes([row]), image) for row, image in enumerate(images)))
    return np.stack([vectors[bytes([row])] for row in range(len(images))])
