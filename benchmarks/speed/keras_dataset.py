"""Keras on a folder of photos: `image_dataset_from_directory` and one `predict`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.speed.keras_network import build_network

BATCH = 32  # the default of both


def measure_in_child(*, folder: str, model: str, size: int) -> dict[str, Any]:
    """Embed all photos of a folder; return the rate in photos/s."""
    import_start = time.perf_counter()
    network, preprocess = build_network(model, size)
    import tensorflow as tf
    from keras.utils import image_dataset_from_directory

    network.predict(np.zeros((BATCH, size, size, 3), np.float32), verbose=0)
    start = time.perf_counter()
    batches = image_dataset_from_directory(
        folder, labels=None, image_size=(size, size), batch_size=BATCH, shuffle=False, verbose=False
    )
    batches = batches.map(preprocess, num_parallel_calls=tf.data.AUTOTUNE)
    vectors = network.predict(batches.prefetch(tf.data.AUTOTUNE), verbose=0)
    seconds = time.perf_counter() - start
    return {"rate": len(vectors) / seconds, "seconds": seconds, "imports": start - import_start}
