"""The notebooks' way: every photo loaded and predicted on its own."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.speed.keras_network import built


def measured(*, photos: list[str], model: str, size: int) -> dict[str, Any]:
    """Keras' `load_img`, `preprocess_input` and `model.predict`, photo by photo."""
    begun = time.perf_counter()
    network, preprocess = built(model, size)
    from keras.utils import img_to_array, load_img

    def embedded(photo: str) -> np.ndarray:
        image = img_to_array(load_img(photo, target_size=(size, size)))
        vector: np.ndarray = network.predict(preprocess(image[None]), verbose=0)
        return vector

    embedded(photos[0])  # what is compiled on first use is not counted
    start = time.perf_counter()
    for photo in photos:
        embedded(photo)
    took = time.perf_counter() - start
    return {"rate": len(photos) / took, "seconds": took, "imports": start - begun}
