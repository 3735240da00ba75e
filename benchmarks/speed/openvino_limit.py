"""Upper limit of the embedding rate: raw OpenVINO on arrays in memory, plus decoding."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import product
from benchmarks.speed.photos import list_jpegs
from benchmarks.speed.rows import throughput_limit


def measure_in_child(
    *, model: str, converted: str, photos: str, batches: list[int], seconds: float
) -> dict[str, Any]:
    """Measure the rate of several batch sizes, and compute the limit on these photos.

    Parameters
    ----------
    model : str
        Name of the network, as in the option `model`.
    converted : str
        The .xml file of the converted model.
    photos : str
        Folder of JPEGs.
    batches : list of int
        Images per request; OpenVINO chooses the number of requests in flight.
    seconds : float
        Duration of the measurement per batch size.
    """
    from outliers_bench.runtime.machine import cores

    images, decode_seconds = decode_all(list_jpegs(Path(photos)), product.image_loader(model))
    rates = {batch: _rate(Path(converted), images, batch, seconds) for batch in batches}
    best = max(rates, key=lambda batch: rates[batch])
    return {
        "rate": throughput_limit(rates[best], decode_seconds, cores()),
        "compute": rates[best],
        "batch": best,
        "rates": rates,
        "decode_seconds": decode_seconds,
        "cores": cores(),
    }


def decode_all(files: list[Path], load: Callable[[Path], Any]) -> tuple[np.ndarray, float]:
    """Decode and resize all photos; return the input of the network and the seconds per photo.

    The seconds are those of one core. Photos are decoded as by this project, large JPEGs at a
    reduced size: with full decoding, the project would exceed the limit.
    """
    import cv2

    cv2.setNumThreads(1)
    seconds = []
    for _ in range(2):  # the first fills the disk cache and warms up OpenCV
        start = time.perf_counter()
        images = [load(file) for file in files]
        seconds.append(time.perf_counter() - start)
    return np.stack(images), min(seconds) / len(files)


def _rate(model: Path, images: np.ndarray, batch: int, seconds: float) -> float:
    ov = product.import_openvino()
    core = ov.Core()
    network = core.read_model(model)
    shape = network.input().partial_shape
    shape[0] = batch
    network.reshape(shape)
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    queue = ov.AsyncInferQueue(core.compile_model(network, "CPU", options))
    rows = np.arange(max(len(images), batch) // batch * batch).reshape(-1, batch) % len(images)
    stacks = [images[batch_rows] for batch_rows in rows[: max(1, 256 // batch)]]
    for i in range(2 * len(queue)):
        queue.start_async({0: stacks[i % len(stacks)]})
    queue.wait_all()
    start, done = time.perf_counter(), 0
    while time.perf_counter() - start < seconds:
        queue.start_async({0: stacks[done % len(stacks)]})
        done += 1
    queue.wait_all()
    return batch * done / (time.perf_counter() - start)
