"""Embedding by this project: from photos on disk to stored features, with a converted model."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from benchmarks.speed import product


def measure_in_child(*, photos: str, model: str, cache: str) -> dict[str, Any]:
    """List, read and hash the photos, load the model, decode, embed and store, without features."""
    import_start = time.perf_counter()
    product.import_openvino()
    import cv2  # noqa: F401 - imports are not counted for any method

    from outliers_bench.data.folder import ClassFolders

    start = time.perf_counter()
    split = ClassFolders(root=photos).load(seed=0, cache=Path(cache))
    features, meter = product.features(model, Path(cache))
    loaded = time.perf_counter()
    features.compute(split.images)
    end = time.perf_counter()
    return {
        "rate": meter.features_computed / (end - start),
        "photos": meter.features_computed,
        "seconds": end - start,
        "imports": start - import_start,
        "read_and_hash": loaded - start,
        "stages": meter.seconds,
        "counts": meter.counts,
    }
