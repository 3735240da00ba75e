"""Peak memory, which must not grow with the number of images."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import child_process, product
from benchmarks.speed.rows import Row
from benchmarks.speed.settings import (
    Settings,
    isolated_paths,
    log,
    measure_row,
    random_weights,
    run_bench,
)

MODEL = "mobilenet"
SIZE = 32  # pixels, for many images in a short time
PER_CLASS = 20


def measure(settings: Settings) -> dict[str, Any]:
    """Measure embedding alone and the full command, for few and for many generated images."""
    few, many = (200, 400) if settings.quick else (2_000, 20_000)
    log(f"memory: {MODEL}, {SIZE} pixels, {few:,} and {many:,} images")
    rows = {
        f"{work}, {size}": Row("MiB", note=f"{count:,} images")
        for work in ("embedding", "command")
        for size, count in (("few", few), ("many", many))
    }
    try:
        child_process.call(
            "convert", cwd=settings.work, model=MODEL, cache=settings.cache, size=SIZE
        )
    except child_process.ChildError as error:
        for row in rows.values():
            row.failed = f"converting: {error}"
        return _as_dict(few, many, rows)
    for repeat in range(min(2, settings.repeats)):
        for name in list(rows)[:: 1 if repeat % 2 == 0 else -1]:
            work, size = name.split(", ")
            count = few if size == "few" else many
            measure_peak = _embedding if work == "embedding" else _command
            label = f"{work}, {count:,} images"
            measure_row(rows[name], label, partial(measure_peak, settings, count))
    return _as_dict(few, many, rows)


def _as_dict(few: int, many: int, rows: dict[str, Row]) -> dict[str, Any]:
    return {"few": few, "many": many, "rows": {name: row.as_dict() for name, row in rows.items()}}


def _embedding(settings: Settings, count: int) -> tuple[float, dict]:
    cache = product.new_cache(settings.work / "memory", settings.cache)
    try:
        result = child_process.call("memory", cwd=settings.work, count=count, cache=cache)
    finally:
        shutil.rmtree(cache)
    return result["peak_bytes"] / 2**20, result


def _command(settings: Settings, count: int) -> tuple[float, dict]:
    cache = product.new_cache(settings.work / "memory", settings.cache)
    try:
        done = run_bench(
            *("data=synthetic", f"data.classes={count // PER_CLASS}", "data.individuals=1"),
            *(f"data.images={PER_CLASS}", f"data.size={SIZE}", "k=[1]"),
            *(*random_weights(MODEL), f"model.image_size={SIZE}"),
            *isolated_paths(cache, settings.work / "memory.db"),
            cwd=settings.work,
        )
    finally:
        shutil.rmtree(cache)
    return done.peak_bytes / 2**20, {"seconds": done.seconds}


def measure_in_child(*, count: int, cache: str) -> dict[str, Any]:
    """Embed `count` generated images; return the peak memory of this process."""
    from outliers_bench.data.synthetic import Synthetic
    from outliers_bench.runtime.meter import peak_memory

    shape = {"classes": count // PER_CLASS, "individuals": 1, "images": PER_CLASS}
    features, _ = product.features(MODEL, Path(cache), size=SIZE)
    features.compute(Synthetic(size=SIZE, **shape).all_images())
    return {"peak_bytes": peak_memory()}
