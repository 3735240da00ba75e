"""Networks of Keras to save, and their features when loaded as backbones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.models.backbone import Backbone

SIZE = 32
PIXELS = np.random.default_rng(0).uniform(0, 255, (2, SIZE, SIZE, 3)).astype(np.float32)


def features(backbone: Backbone) -> np.ndarray:
    return np.asarray(backbone.build()(PIXELS, training=False))


def keras_model(name: str, *, top: bool, seed: int = 1, size: int = SIZE) -> Any:
    import keras

    keras.utils.clear_session()
    keras.utils.set_random_seed(seed)
    constructor = getattr(keras.applications, name)
    options = {"classes": 5} if top else {"pooling": "avg"}
    return constructor(weights=None, include_top=top, input_shape=(size, size, 3), **options)


def randomize(model: Any) -> None:
    """Randomize the parameters that new layers have in common, so that a swap is detected."""
    random = np.random.default_rng(0)
    for variable in model.weights:
        if len(variable.shape) == 1:
            variable.assign(random.uniform(0.5, 1.5, variable.shape))


def save_as_keras_releases(model: Any, path: Path) -> None:
    import h5py
    from keras.src.legacy.saving.legacy_h5_format import save_weights_to_hdf5_group

    with h5py.File(path, "w") as file:
        save_weights_to_hdf5_group(file, model)
        del file["top_level_model_weights"]
