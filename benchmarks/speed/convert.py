"""Conversion of a network, as in its first run, so that later runs find it in the cache."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.speed import product

IMAGES = {"classes": 4, "individuals": 4, "images": 5}  # enough to choose a batch size


def measure_in_child(*, model: str, cache: str, size: int = product.SIZE) -> dict[str, Any]:
    """Embed 80 generated images; return the file of the converted model and the seconds."""
    from outliers_bench.data.synthetic import Synthetic

    before = product.converted_models(Path(cache))
    start = time.perf_counter()
    features, _ = product.features(model, Path(cache), size=size)
    features.compute(Synthetic(**IMAGES, size=size).all_images())
    seconds = time.perf_counter() - start
    new = sorted(product.converted_models(Path(cache)) - before)
    if len(new) != 1:
        raise RuntimeError(f"{model}: {len(new)} new converted models instead of one")
    return {"model": str(new[0]), "seconds": seconds}
