"""The limit: raw OpenVINO on arrays in memory, and what decoding costs beside it."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import product
from benchmarks.speed.photos import jpegs
from benchmarks.speed.rows import limit


def measured(
    *, model: str, photos: str, batches: list[int], seconds: float, size: int = product.SIZE
) -> dict[str, Any]:
    """The best of several batch sizes, and the limit on these photos.

    Parameters
    ----------
    model : str
        The .xml file that ours keeps.
    photos : str
        Folder of JPEGs.
    batches : list of int
        Images a request; as many requests in flight as OpenVINO finds best.
    seconds : float
        Time for each batch size.
    size : int
        Side of the network's images, in pixels.
    """
    from outliers_bench.machine import cores

    images, decode_seconds = decoded(jpegs(Path(photos)), size)
    rates = {batch: _rate(Path(model), images, batch, seconds) for batch in batches}
    best = max(rates, key=lambda batch: rates[batch])
    return {
        "rate": limit(rates[best], decode_seconds, cores()),
        "compute": rates[best],
        "batch": best,
        "rates": rates,
        "decode_seconds": decode_seconds,
    }


def decoded(files: list[Path], size: int) -> tuple[np.ndarray, float]:
    """All photos as squares, and the seconds of one core for one of them."""
    import cv2

    cv2.setNumThreads(1)
    images = np.empty((len(files), size, size, 3), dtype=np.uint8)
    took = []
    for _ in range(2):  # the first brings the files into memory and OpenCV up
        start = time.perf_counter()
        for image, file in zip(images, files, strict=True):
            data = np.frombuffer(file.read_bytes(), dtype=np.uint8)
            photo = cv2.imdecode(data, cv2.IMREAD_COLOR_RGB)
            image[:] = cv2.resize(photo, (size, size), interpolation=cv2.INTER_AREA)
        took.append(time.perf_counter() - start)
    return images, min(took) / len(files)


def _rate(model: Path, images: np.ndarray, batch: int, seconds: float) -> float:
    ov = product.openvino()
    core = ov.Core()
    network = core.read_model(model)
    shape = network.input().partial_shape
    shape[0] = batch
    network.reshape(shape)
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    queue = ov.AsyncInferQueue(core.compile_model(network, "CPU", options))
    rows = np.arange(max(len(images), batch) // batch * batch).reshape(-1, batch) % len(images)
    stacks = [images[some] for some in rows[: max(1, 256 // batch)]]
    for i in range(2 * len(queue)):
        queue.start_async({0: stacks[i % len(stacks)]})
    queue.wait_all()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        queue.start_async({0: stacks[done % len(stacks)]})
        done += 1
    queue.wait_all()
    return batch * done / (time.perf_counter() - start)
