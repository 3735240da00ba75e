"""What variants cost, asked for after a first run or with it: whole commands, start to exit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import product
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import ENOUGH, Setting, random_weights, say, take

MODEL = "mobilenet"
REPEATS = 2  # a first run takes most of a minute
Run = Callable[..., tuple[float, dict]]


def measure(setting: Setting) -> dict[str, Any]:
    """A first run, twelve variants and itself again after it; and all twelve from nothing."""
    options, variants, count = _options(setting)
    say(f"{MODEL}, {setting.root_photos:,} photos; {count} variants: {' '.join(variants)}")
    rows = {
        "first": Row("s", note="empty cache, empty MLflow store: conversion included"),
        "together": Row("s", note="as empty at its start: the first run is one of them"),
        "variants": Row("s", note="features stored"),
        "stored": Row("s", note="a single run without PCA, features stored"),
    }
    for repeat in range(min(REPEATS, setting.repeats)):
        ways = [_one_after_another, _together]
        for way in ways[:: 1 if repeat % 2 == 0 else -1]:
            home = setting.work / "economy"
            way(rows, partial(_run, setting, home, options), variants)
            _keep_models(setting, home / "cache")
            shutil.rmtree(home)
    if not setting.quick:
        rows["kept"] = Row("s", note="empty MLflow store and no features, but the model kept; once")
        home = setting.work / "economy-kept"
        product.with_models(home / "cache", setting.cache)
        kept = partial(_run, setting, home, options)
        take(rows["kept"], "first run, model kept", kept)
        shutil.rmtree(home)
    return {"photos": setting.root_photos, "count": count, "rows": _told(rows)}


def _one_after_another(rows: dict[str, Row], run: Run, variants: list[str]) -> None:
    before = len(rows["first"].values)
    take(rows["first"], "first run", run)
    if len(rows["first"].values) > before:  # without it nothing is stored
        take(rows["variants"], "variants as a second command", partial(run, "-m", *variants))
        take(rows["stored"], "stored run", run)


def _together(rows: dict[str, Row], run: Run, variants: list[str]) -> None:
    take(rows["together"], "variants in the first command", partial(run, "-m", *variants))


def _run(setting: Setting, home: Path, options: list[str], *more: str) -> tuple[float, dict]:
    home.mkdir(exist_ok=True)
    done = setting.whole(*options, *more, cache=home / "cache", store=home / "mlflow.db")
    return done.seconds, {"cpu_seconds": done.cpu_seconds}


def _options(setting: Setting) -> tuple[list[str], list[str], int]:
    options = random_weights(MODEL)
    if setting.quick:
        variants = ["pca.n=null,2", "index=exact,kd_tree", "index.metric=cosine"]
        return [*options, "k=[1]"], variants, 4
    few = setting.root_photos < ENOUGH
    n = [max(1, setting.root_photos // part) for part in (20, 4)] if few else [100, 500]
    components = f"pca.n=null,{n[0]},{n[1]}"
    variants = [components, "index=exact,kd_tree", "index.metric=cosine,euclidean"]
    return [*options, *(["k=[1]"] if few else [])], variants, 12


def _keep_models(setting: Setting, cache: Path) -> None:
    """What a first run has converted serves the other sections as well."""
    for model in sorted((cache / "models").glob("*")):
        target = setting.cache / "models" / model.name
        if model.is_dir() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(model, target)


def _told(rows: dict[str, Row]) -> dict[str, Any]:
    return {name: row.as_dict() for name, row in rows.items()}
