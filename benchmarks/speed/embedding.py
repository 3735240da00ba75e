"""Photos per second: this project, the limit of the machine, PyTorch and Keras."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import child_process, product
from benchmarks.speed.rows import Row, fix_batch_size
from benchmarks.speed.settings import Settings, log, measure_row, random_weights

BATCHES = [1, 2, 4, 8]
# Photos of the slow methods; their rates do not depend on the number.
NOTEBOOK = {"mobilenet": 96, "efficientnetb0": 48, "resnet50": 32}
FAST = ("ours", "limit")
OTHERS = {"mobilenet": 288, "efficientnetb0": 192, "resnet50": 96}  # full batches


def measure(settings: Settings) -> dict[str, Any]:
    """Measure all methods for three networks; for one if quick."""
    for photo in settings.photos:  # fill the disk cache before the first method
        photo.read_bytes()
    models = list(product.BACKBONES)[: 1 if settings.quick else None]
    results = {}
    for model in models:
        log(f"{model}, {product.SIZE} pixels")
        results[model] = _measure_model(settings, model)
    return {"photos": len(settings.photos), "backbones": results}


def _measure_model(settings: Settings, model: str) -> dict[str, Any]:
    try:
        converted = child_process.call(
            "convert", cwd=settings.work, model=model, cache=settings.cache
        )
    except child_process.ChildError as error:
        log(f"  converting failed: {error}")
        return {"ours": Row("photos/s", failed=f"converting: {error}").as_dict()}
    n, some = len(settings.photos), min(OTHERS[model], len(settings.photos))
    few = min(5 if settings.quick else NOTEBOOK[model], len(settings.photos))
    rows = {
        "ours": Row("photos/s", note=f"{n:,} photos"),
        "limit": Row("photos/s", note=f"{n:,} photos decoded, the first 256 computed"),
        "torch": Row("photos/s", note=f"{some} photos"),
        "dataset": Row("photos/s", note=f"{some} photos"),
        "notebook": Row("photos/s", note=f"{few} photos"),
    }
    photos = list(map(str, settings.photos))
    common = {"model": model, "size": product.SIZE}
    methods: dict[str, Callable[[], tuple[float, dict]]] = {
        "ours": partial(_ours, settings, model),
        "limit": partial(
            *(_rate, settings, "openvino_limit"),
            model=model,
            converted=converted["model"],
            photos=settings.work / "photos",
            batches=BATCHES[:2] if settings.quick else BATCHES,
            seconds=0.5 if settings.quick else 4,
        ),
        "torch": _torch(settings, photos=photos[:some], **common),
        "dataset": partial(
            _rate, settings, "keras_dataset", folder=_first(settings, some), **common
        ),
        "notebook": partial(_rate, settings, "keras_notebook", photos=photos[:few], **common),
    }
    if not has_torch(settings.torch):
        del methods["torch"]
        rows["torch"].failed = "PyTorch and transformers are not installed"
        log(f"  torch: {rows['torch'].failed}")
    first = next(iter(product.BACKBONES))
    for repeat in range(settings.repeats):
        # Alternating, so that a slow period of the machine affects all methods alike.
        # The slow methods are repeated for the first network only.
        turn = [name for name in methods if name in FAST or repeat == 0 or model == first]
        for name in turn[:: 1 if repeat % 2 == 0 else -1]:
            measure_row(rows[name], name, methods[name])
    fix_batch_size(rows["limit"])
    rows["command"] = Row("photos/s", note=f"{n:,} photos, once")
    measure_row(rows["command"], "full command", partial(_command, settings, model))
    results = {name: row.as_dict() for name, row in rows.items()}
    results["ours"]["conversion_seconds"] = converted["seconds"]
    return results


def _rate(settings: Settings, module: str, **options: Any) -> tuple[float, dict]:
    result = child_process.call(module, cwd=settings.work, **options)
    return result.pop("rate"), result


def _ours(settings: Settings, model: str) -> tuple[float, dict]:
    cache = product.new_cache(settings.work / "ours", settings.cache)
    try:
        photos = settings.work / "photos"
        return _rate(settings, "ours", photos=photos, model=model, cache=cache)
    finally:
        shutil.rmtree(cache)


def _command(settings: Settings, model: str) -> tuple[float, dict]:
    """Run the full command on the same photos, with an existing MLflow store."""
    same_photos = replace(settings, root=settings.work / "photos")
    store = settings.work / "embedding.db"
    if not store.exists():
        small = ["model=pixels", "k=[1]", "contact_sheets.queries=0"]
        same_photos.run_benchmark(*small, cache=settings.work / "first", store=store)
    cache = product.new_cache(settings.work / "command", settings.cache)
    try:
        done = same_photos.run_benchmark(*random_weights(model), "k=[1]", cache=cache, store=store)
    finally:
        shutil.rmtree(cache)
    details = {"seconds": done.seconds, "cpu_seconds": done.cpu_seconds}
    return len(settings.photos) / done.seconds, details


def _first(settings: Settings, n: int) -> Path:
    """Link the first n photos into a folder."""
    folder = settings.work / f"first-{n}"
    for photo in settings.photos[:n]:
        target = folder / photo.relative_to(settings.work / "photos")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(photo)
    return folder


def _torch(settings: Settings, **options: Any) -> Callable[[], tuple[float, dict]]:
    """Return a measurement of the faster of eager and compiled; the first call decides which."""
    modes = [False] if settings.quick else [False, True]

    def measure_best() -> tuple[float, dict]:
        results = []
        for compiled in modes:
            try:
                options["compiled"] = compiled
                rate, details = _rate(settings, "pytorch", path=settings.torch, **options)
            except child_process.ChildError as error:
                log(f"  torch {'compiled' if compiled else 'eager'}: {error}")
                continue
            results.append((rate, details | {"compiled": compiled}))
        if not results:
            raise child_process.ChildError("PyTorch: neither eager nor compiled works")
        best_rate, best = max(results, key=lambda result: result[0])
        modes[:] = [best["compiled"]]
        rates = {f"compiled={details['compiled']}": rate for rate, details in results}
        return best_rate, best | {"rates": rates}

    return measure_best


def has_torch(folder: str) -> bool:
    """Check whether PyTorch and transformers are in the folder, or installed if it is empty."""
    if folder:
        return all((Path(folder) / name).is_dir() for name in ("torch", "transformers"))
    return all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
