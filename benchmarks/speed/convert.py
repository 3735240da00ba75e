"""Convert a network, as the first run with it does, so that the others find it kept."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.speed import product

PICTURES = {"classes": 4, "individuals": 4, "images": 5}  # enough for a batch size to be chosen


def measured(*, model: str, cache: str, size: int = product.SIZE) -> dict[str, Any]:
    """Embed 80 drawn pictures; the converted model's file, and how long all of it took."""
    from outliers_bench.data.synthetic import Synthetic

    before = product.models(Path(cache))
    start = time.perf_counter()
    features, _ = product.features(model, Path(cache), size=size)
    features.compute(Synthetic(**PICTURES, size=size).pictures())
    took = time.perf_counter() - start
    new = sorted(product.models(Path(cache)) - before)
    if len(new) != 1:
        raise RuntimeError(f"{model}: converting kept {len(new)} new models, not one")
    return {"model": str(new[0]), "seconds": took}
