"""Time of a sweep after a first run, or in the same command: full commands, start to exit."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.speed import product
from benchmarks.speed.rows import Row
from benchmarks.speed.settings import MIN_PHOTOS, Settings, log, measure_row, random_weights

MODEL = "mobilenet"
REPEATS = 2  # a first run takes most of a minute
Run = Callable[..., tuple[float, dict]]


def measure(settings: Settings) -> dict[str, Any]:
    """Time a first run, twelve variants after it, one run on stored features; and all in one."""
    options, variants, count = _options(settings)
    log(f"{MODEL}, {settings.root_photos:,} photos; {count} variants: {' '.join(variants)}")
    rows = {
        "first": Row("s", note="empty cache, empty MLflow store: includes the conversion"),
        "together": Row("s", note="empty cache, empty MLflow store: includes the first run"),
        "variants": Row("s", note="features stored"),
        "stored": Row("s", note="a single run without PCA, features stored"),
    }
    for repeat in range(min(REPEATS, settings.repeats)):
        orders = [_sequence, _together]
        for measure_order in orders[:: 1 if repeat % 2 == 0 else -1]:
            folder = settings.work / "sweep"
            measure_order(rows, partial(_run, settings, folder, options), variants)
            _copy_models(settings, folder / "cache")
            shutil.rmtree(folder)
    if not settings.quick:
        note = "empty MLflow store, no features, converted model cached; once"
        rows["converted"] = Row("s", note=note)
        folder = settings.work / "sweep-converted"
        product.new_cache(folder / "cache", settings.cache)
        run = partial(_run, settings, folder, options)
        measure_row(rows["converted"], "first run, model cached", run)
        shutil.rmtree(folder)
    return {
        "photos": settings.root_photos,
        "count": count,
        "rows": {name: row.as_dict() for name, row in rows.items()},
    }


def _sequence(rows: dict[str, Row], run: Run, variants: list[str]) -> None:
    before = len(rows["first"].values)
    measure_row(rows["first"], "first run", run)
    if len(rows["first"].values) > before:  # without it nothing is stored
        measure_row(rows["variants"], "variants as a second command", partial(run, "-m", *variants))
        measure_row(rows["stored"], "stored run", run)


def _together(rows: dict[str, Row], run: Run, variants: list[str]) -> None:
    measure_row(rows["together"], "variants in the first command", partial(run, "-m", *variants))


def _run(settings: Settings, folder: Path, options: list[str], *more: str) -> tuple[float, dict]:
    folder.mkdir(exist_ok=True)
    cache, store = folder / "cache", folder / "mlflow.db"
    done = settings.run_benchmark(*options, *more, cache=cache, store=store)
    return done.seconds, {"cpu_seconds": done.cpu_seconds}


def _options(settings: Settings) -> tuple[list[str], list[str], int]:
    options = random_weights(MODEL)
    if settings.quick:
        variants = ["pca.n=null,2", "index=exact,kd_tree", "index.metric=cosine"]
        return [*options, "k=[1]"], variants, 4
    few = settings.root_photos < MIN_PHOTOS
    n = [max(1, settings.root_photos // part) for part in (20, 4)] if few else [100, 500]
    components = f"pca.n=null,{n[0]},{n[1]}"
    variants = [components, "index=exact,kd_tree", "index.metric=cosine,euclidean"]
    return [*options, *(["k=[1]"] if few else [])], variants, 12


def _copy_models(settings: Settings, cache: Path) -> None:
    """Copy the converted models of a first run, for the other sections."""
    for model in sorted((cache / "models").glob("*")):
        target = settings.cache / "models" / model.name
        if model.is_dir() and not target.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(model, target)
