"""OpenVINO on the CPU: compiled for a batch size, several requests in flight."""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from outliers_bench.engines.batches import batches
from outliers_bench.engines.protocols import Key, Precision
from outliers_bench.errors import BenchError
from outliers_bench.runtime.machine import cores
from outliers_bench.types import RGB, FloatArray

_BATCHES = (1, 2, 4, 8, 16)
_LARGEST = 16 * 512 * 512  # pixels in a request; the network's maps are many times as large


def import_openvino() -> Any:  # noqa: ANN401 - openvino is untyped
    """Import OpenVINO without its telemetry: a benchmark on private photos calls nobody."""
    # With None in its place the module counts as not installed, and OpenVINO uses its stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino


def capabilities() -> list[str]:
    """What OpenVINO finds the processor to compute with, such as FP32, BF16 and INT8."""
    found = import_openvino().Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return [str(name) for name in found]


def candidate_batch_sizes(size: int) -> list[int]:
    """Batch sizes that may be fastest, for images of that side in pixels.

    Examples
    --------
    >>> candidates(224), candidates(1024), candidates(4096)
    ([1, 2, 4, 8, 16], [1, 2, 4], [1])
    """
    return [batch for batch in _BATCHES if batch == 1 or batch * size**2 <= _LARGEST]


def compile_model(model: Path, batch: int, precision: Precision = Precision.f32) -> Any:  # noqa: ANN401
    """A kept model, ready to run.

    Parameters
    ----------
    model : Path
        Its .xml file.
    batch : int
        Images a request.
    precision : Precision
        bf16, or f32 for all else: a quantized model has its 8 bits written in it.

    Returns
    -------
    openvino.CompiledModel
        Takes uint8, shape (batch, image_size, image_size, 3).

    Raises
    ------
    BenchError
        If there is no memory for so many images.
    """
    core = import_openvino().Core()
    network = core.read_model(model)
    shape = network.input().partial_shape
    shape[0] = batch
    network.reshape(shape)
    # Without the hint, processors that have bfloat16 would use it unasked. Several requests side
    # by side are faster than one that has all cores.
    hint = "bf16" if precision is Precision.bf16 else "f32"
    options: dict[str, Any] = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": hint}
    if cores() < (os.cpu_count() or 1):  # a container's share, of which OpenVINO knows nothing
        options["INFERENCE_NUM_THREADS"] = cores()
    try:
        return core.compile_model(network, "CPU", options)
    except RuntimeError as error:
        if "bad_alloc" not in str(error):
            raise
        raise BenchError(
            f"engine.batch_size={batch}: too many images for the memory; take fewer"
        ) from error


class OpenVinoRunner:
    """Embeds a stream of images, several requests in flight.

    Parameters
    ----------
    network : openvino.CompiledModel
        From `compile_model`.
    """

    def __init__(self, network: Any) -> None:  # noqa: ANN401 - openvino is untyped
        self.batch = int(network.input().shape[0])
        # Twice what it can compute at a time: a request is ready when another ends, though whoever
        # hands them out waits for its turn on cores that are all at work.
        jobs = 2 * int(network.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS"))
        self._queue = import_openvino().AsyncInferQueue(network, jobs)
        self._done: deque[tuple[list[Key], FloatArray]] = deque()
        self._queue.set_callback(self._take)

    def __len__(self) -> int:
        """How many requests are in flight at most."""
        return len(self._queue)

    def _take(self, request: Any, keys: list[Key]) -> None:  # noqa: ANN401 - openvino is untyped
        self._done.append((keys, request.get_output_tensor().data.copy()))

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        for keys, stack in batches(images, self.batch):
            self._queue.start_async({0: stack}, keys)
            yield from self._finished()
        self._queue.wait_all()
        yield from self._finished()

    def _finished(self) -> Iterator[tuple[Key, FloatArray]]:
        while self._done:
            keys, vectors = self._done.popleft()
            yield from zip(keys, vectors, strict=False)
