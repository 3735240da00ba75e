"""Keras' own way for many photos: `image_dataset_from_directory` and one `predict`."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from benchmarks.speed.keras_network import built

BATCH = 32  # Keras' default for both


def measured(*, folder: str, model: str, size: int) -> dict[str, Any]:
    """Embed all photos of a folder."""
    begun = time.perf_counter()
    network, preprocess = built(model, size)
    import tensorflow as tf
    from keras.utils import image_dataset_from_directory

    network.predict(np.zeros((BATCH, size, size, 3), np.float32), verbose=0)
    start = time.perf_counter()
    batches = image_dataset_from_directory(
        folder, labels=None, image_size=(size, size), batch_size=BATCH, shuffle=False, verbose=False
    )
    batches = batches.map(preprocess, num_parallel_calls=tf.data.AUTOTUNE)
    vectors = network.predict(batches.prefetch(tf.data.AUTOTUNE), verbose=0)
    took = time.perf_counter() - start
    return {"rate": len(vectors) / took, "seconds": took, "imports": start - begun}
