"""Keras as in notebooks: photos loaded and predicted one by one."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.speed.keras_network import build_network


def measure_in_child(*, photos: list[str], model: str, size: int) -> dict[str, Any]:
    """Embed with `load_img`, `preprocess_input` and `predict`; return the rate in photos/s."""
    import_start = time.perf_counter()
    network, preprocess = build_network(model, size)
    from keras.utils import img_to_array, load_img

    def embed(photo: str) -> np.ndarray:
        image = img_to_array(load_img(photo, target_size=(size, size)))
        vector: np.ndarray = network.predict(preprocess(image[None]), verbose=0)
        return vector

    embed(photos[0])  # compilation on first use is not counted
    start = time.perf_counter()
    for photo in photos:
        embed(photo)
    seconds = time.perf_counter() - start
    return {"rate": len(photos) / seconds, "seconds": seconds, "imports": start - import_start}
