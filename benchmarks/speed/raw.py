"""The limit: raw OpenVINO on arrays in memory, and what decoding costs beside it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.speed import product
from benchmarks.speed.photos import jpegs
from benchmarks.speed.rows import limit


def measured(
    *, model: str, converted: str, photos: str, batches: list[int], seconds: float
) -> dict[str, Any]:
    """The best of several batch sizes, and the limit on these photos.

    Parameters
    ----------
    model : str
        Our name of the network.
    converted : str
        The .xml file of it that ours keeps.
    photos : str
        Folder of JPEGs.
    batches : list of int
        Images a request; as many requests in flight as OpenVINO finds best.
    seconds : float
        Time for each batch size.
    """
    from outliers_bench.runtime.machine import cores

    images, decode_seconds = decoded(jpegs(Path(photos)), product.squares(model))
    rates = {batch: _rate(Path(converted), images, batch, seconds) for batch in batches}
    best = max(rates, key=lambda batch: rates[batch])
    return {
        "rate": limit(rates[best], decode_seconds, cores()),
        "compute": rates[best],
        "batch": best,
        "rates": rates,
        "decode_seconds": decode_seconds,
        "cores": cores(),
    }


def decoded(files: list[Path], squared: Callable[[Path], Any]) -> tuple[np.ndarray, float]:
    """All photos as the network takes them, and the seconds of one core for one of them.

    They are read and decoded as ours does, large JPEGs at a reduced size: were each decoded whole,
    ours would exceed what is called the limit.
    """
    import cv2

    cv2.setNumThreads(1)
    took = []
    for _ in range(2):  # the first brings the files into memory and OpenCV up
        start = time.perf_counter()
        images = [squared(file) for file in files]
        took.append(time.perf_counter() - start)
    return np.stack(images), min(took) / len(files)


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
