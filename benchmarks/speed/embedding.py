"""Photos a second: ours, the limit, PyTorch, Keras' dataset and the notebooks' way."""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import apart, product
from benchmarks.speed.rows import Row, settle_limit
from benchmarks.speed.setting import Setting, random_weights, say, take

BATCHES = [1, 2, 4, 8]
# Photos for the slow ways, whose rates do not depend on how many there are.
NOTEBOOK = {"mobilenet": 96, "efficientnetb0": 48, "resnet50": 32}
FAST = ("ours", "limit")
OTHERS = {"mobilenet": 288, "efficientnetb0": 192, "resnet50": 96}  # whole batches


def measure(setting: Setting) -> dict[str, Any]:
    """All ways of three networks; of one where it is to be quick."""
    for photo in setting.photos:  # who comes first must not be the one to wait for the disk
        photo.read_bytes()
    models = list(product.BACKBONES)[: 1 if setting.quick else None]
    found = {}
    for model in models:
        say(f"{model}, {product.SIZE} pixels")
        found[model] = _ways(setting, model)
    return {"photos": len(setting.photos), "backbones": found}


def _ways(setting: Setting, model: str) -> dict[str, Any]:
    try:
        kept = apart.call("convert", cwd=setting.work, model=model, cache=setting.cache)
    except apart.ChildError as error:
        say(f"  converting failed: {error}")
        return {"ours": Row("photos/s", failed=f"converting: {error}").as_dict()}
    every, some = len(setting.photos), min(OTHERS[model], len(setting.photos))
    few = min(5 if setting.quick else NOTEBOOK[model], len(setting.photos))
    rows = {
        "ours": Row("photos/s", note=f"{every:,} photos"),
        "limit": Row("photos/s", note=f"{every:,} photos decoded, the first 256 computed"),
        "torch": Row("photos/s", note=f"{some} photos"),
        "dataset": Row("photos/s", note=f"{some} photos"),
        "notebook": Row("photos/s", note=f"{few} photos"),
    }
    photos = list(map(str, setting.photos))
    common = {"model": model, "size": product.SIZE}
    ways: dict[str, Callable[[], tuple[float, dict]]] = {
        "ours": partial(_ours, setting, model),
        "limit": partial(
            *(_rate, setting, "raw"),
            model=model,
            converted=kept["model"],
            photos=setting.work / "photos",
            batches=BATCHES[:2] if setting.quick else BATCHES,
            seconds=0.5 if setting.quick else 4,
        ),
        "torch": _torch(setting, photos=photos[:some], **common),
        "dataset": partial(_rate, setting, "dataset", folder=_part(setting, some), **common),
        "notebook": partial(_rate, setting, "notebook", photos=photos[:few], **common),
    }
    if not has_torch(setting.torch):
        del ways["torch"]
        rows["torch"].failed = "PyTorch and transformers are not installed"
        say(f"  torch: {rows['torch'].failed}")
    first = next(iter(product.BACKBONES))
    for repeat in range(setting.repeats):
        # In turns, so that what slows the machine down for a while slows neighbors alike.
        # The slow ways are repeated for the first network alone; their rates tell more than enough.
        turn = [way for way in ways if way in FAST or repeat == 0 or model == first]
        for way in turn[:: 1 if repeat % 2 == 0 else -1]:
            take(rows[way], way, ways[way])
    settle_limit(rows["limit"])
    rows["whole"] = Row("photos/s", note=f"{every:,} photos, once")
    take(rows["whole"], "the whole command", partial(_whole, setting, model))
    told = {way: row.as_dict() for way, row in rows.items()}
    told["ours"]["conversion_seconds"] = kept["seconds"]
    return told


def _rate(setting: Setting, work: str, **options: Any) -> tuple[float, dict]:
    found = apart.call(work, cwd=setting.work, **options)
    return found.pop("rate"), found


def _ours(setting: Setting, model: str) -> tuple[float, dict]:
    cache = product.with_models(setting.work / "ours", setting.cache)
    try:
        photos = setting.work / "photos"
        return _rate(setting, "ours", photos=photos, model=model, cache=cache)
    finally:
        shutil.rmtree(cache)


def _whole(setting: Setting, model: str) -> tuple[float, dict]:
    """The whole command on the same photos, MLflow's store being there."""
    here = replace(setting, root=setting.work / "photos")
    store = setting.work / "embedding.db"
    if not store.exists():
        small = ["model=pixels", "k=[1]", "contact_sheets.queries=0"]
        here.whole(*small, cache=setting.work / "first", store=store)
    cache = product.with_models(setting.work / "whole", setting.cache)
    try:
        done = here.whole(*random_weights(model), "k=[1]", cache=cache, store=store)
    finally:
        shutil.rmtree(cache)
    details = {"seconds": done.seconds, "cpu_seconds": done.cpu_seconds}
    return len(setting.photos) / done.seconds, details


def _part(setting: Setting, n: int) -> Path:
    """A folder with the first n photos."""
    folder = setting.work / f"first-{n}"
    for photo in setting.photos[:n]:
        target = folder / photo.relative_to(setting.work / "photos")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.exists():
            target.symlink_to(photo)
    return folder


def _torch(setting: Setting, **options: Any) -> Callable[[], tuple[float, dict]]:
    """The better of eager and compiled; which of them it is, the first time tells."""
    better: list[bool] = []

    def measured() -> tuple[float, dict]:
        found = []
        for compiled in better or ([False] if setting.quick else [False, True]):
            try:
                options["compiled"] = compiled
                rate, told = _rate(setting, "torch_way", path=setting.torch, **options)
            except apart.ChildError as error:
                say(f"  torch {'compiled' if compiled else 'eager'}: {error}")
                continue
            found.append((rate, told | {"compiled": compiled}))
        if not found:
            raise apart.ChildError("PyTorch: neither eager nor compiled")
        best = max(found, key=lambda one: one[0])
        better[:] = [best[1]["compiled"]]
        others = {f"compiled={t['compiled']}": r for r, t in found}
        return best[0], best[1] | {"rates": others}

    return measured


def has_torch(folder: str) -> bool:
    """Whether PyTorch and transformers are there: in the folder, or installed if it is empty."""
    if folder:
        return all((Path(folder) / name).is_dir() for name in ("torch", "transformers"))
    return all(importlib.util.find_spec(name) for name in ("torch", "transformers"))
