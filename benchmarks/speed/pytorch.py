"""PyTorch, if installed: photos decoded in threads, in batches, eager or compiled."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import Any

BATCH = 16


def measure_in_child(
    *, photos: list[str], model: str, size: int, compiled: bool, path: str
) -> dict[str, Any]:
    """Embed photos with a network of transformers with random weights; return the rate in photos/s.

    `path` is a folder of PyTorch that takes precedence over an installed one; empty for none.
    """
    if path:
        sys.path.insert(0, path)
    import_start = time.perf_counter()
    import numpy as np
    import torch
    import transformers

    from outliers_bench.runtime.machine import cores

    torch.set_num_threads(cores())
    network = _network(model, size).eval().to(memory_format=torch.channels_last)
    forward: Callable[..., Any] = torch.compile(network) if compiled else network

    def embed(stack: Any) -> Any:
        images = torch.from_numpy(stack).permute(0, 3, 1, 2).float() / 127.5 - 1
        vectors: Any = forward(pixel_values=images).pooler_output.numpy()
        return vectors

    with torch.inference_mode():
        for _ in range(2):
            embed(np.zeros((BATCH, size, size, 3), np.uint8))
        start, done = time.perf_counter(), 0
        for count, stack in _batches(photos, size, cores()):
            done += len(embed(stack)[:count])
        seconds = time.perf_counter() - start
    versions = {"torch": str(torch.__version__), "transformers": transformers.__version__}
    return {
        "rate": done / seconds,
        "seconds": seconds,
        "imports": start - import_start,
        "versions": versions,
    }


def _network(model: str, size: int) -> Any:
    import transformers

    if model == "mobilenet":
        return transformers.MobileNetV1Model(transformers.MobileNetV1Config(image_size=size))
    if model == "efficientnetb0":
        return transformers.EfficientNetModel(
            transformers.EfficientNetConfig(
                image_size=size, width_coefficient=1.0, depth_coefficient=1.0, hidden_dim=1280
            )
        )
    return transformers.ResNetModel(transformers.ResNetConfig())


def _batches(photos: list[str], size: int, threads: int) -> Iterator[tuple[int, Any]]:
    """Yield batches and their number of photos; the last is padded, to avoid a recompilation."""
    import cv2
    import numpy as np

    def read(photo: str) -> Any:
        image = cv2.imread(photo, cv2.IMREAD_COLOR_RGB)
        resized: Any = cv2.resize(image, (size, size), interpolation=cv2.INTER_AREA)
        return resized

    with ThreadPoolExecutor(threads) as pool:
        images = pool.map(read, photos)
        while group := list(islice(images, BATCH)):
            stack = np.zeros((BATCH, size, size, 3), np.uint8)
            stack[: len(group)] = group
            yield len(group), stack
