"""Peak memory: ten times as many pictures must not need more."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import apart, product
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting, bench, places, random_weights, say, take

MODEL = "mobilenet"
SIZE = 32  # pixels: many pictures in little time
PER_CLASS = 20


def measure(setting: Setting) -> dict[str, Any]:
    """Embedding alone and the whole command, for few and for many drawn pictures."""
    few, many = (200, 400) if setting.quick else (2_000, 20_000)
    say(f"memory: {MODEL}, {SIZE} pixels, {few:,} and {many:,} pictures")
    rows = {
        f"{what}, {which}": Row("MiB", note=f"{count:,} pictures")
        for what in ("embedding", "command")
        for which, count in (("few", few), ("many", many))
    }
    try:
        apart.call("convert", cwd=setting.work, model=MODEL, cache=setting.cache, size=SIZE)
    except apart.ChildError as error:
        for row in rows.values():
            row.failed = f"converting: {error}"
        return _told(few, many, rows)
    for repeat in range(min(2, setting.repeats)):
        for name in list(rows)[:: 1 if repeat % 2 == 0 else -1]:
            what, which = name.split(", ")
            count = few if which == "few" else many
            work = _embedding if what == "embedding" else _command
            take(rows[name], f"{what}, {count:,} pictures", partial(work, setting, count))
    return _told(few, many, rows)


def _told(few: int, many: int, rows: dict[str, Row]) -> dict[str, Any]:
    return {"few": few, "many": many, "rows": {name: row.as_dict() for name, row in rows.items()}}


def _embedding(setting: Setting, count: int) -> tuple[float, dict]:
    cache = product.with_models(setting.work / "memory", setting.cache)
    try:
        found = apart.call("memory", cwd=setting.work, count=count, cache=cache)
    finally:
        shutil.rmtree(cache)
    return found["peak_bytes"] / 2**20, found


def _command(setting: Setting, count: int) -> tuple[float, dict]:
    cache = product.with_models(setting.work / "memory", setting.cache)
    try:
        done = bench(
            *("data=synthetic", f"data.classes={count // PER_CLASS}", "data.individuals=1"),
            *(f"data.images={PER_CLASS}", f"data.size={SIZE}", "k=[1]"),
            *(*random_weights(MODEL), f"model.image_size={SIZE}"),
            *places(cache, setting.work / "memory.db"),
            cwd=setting.work,
        )
    finally:
        shutil.rmtree(cache)
    return done.peak_bytes / 2**20, {"seconds": done.seconds}


def measured(*, count: int, cache: str) -> dict[str, Any]:
    """Peak of this process after embedding so many pictures."""
    from outliers_bench.data.synthetic import Synthetic
    from outliers_bench.runtime.meter import peak_memory

    shape = {"classes": count // PER_CLASS, "individuals": 1, "images": PER_CLASS}
    features, _ = product.features(MODEL, Path(cache), size=SIZE)
    features.compute(Synthetic(size=SIZE, **shape).pictures())
    return {"peak_bytes": peak_memory()}
