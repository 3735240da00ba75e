"""Generated photos on disk, and a run on them as the benchmark does it, without MLflow."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import cv2
import numpy as np
import yaml
from hydra import compose, initialize_config_dir
from omegaconf import OmegaConf

from outliers_bench.benchmark import check, depth
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.runtime.meter import Meter
from outliers_bench.serving.saved_run import SavedRun

CLASSES, EACH, SIDE = 4, 7, 120
RUN_ID = "c0ffee" + "0" * 26


@cache
def encoded_photos():
    """Return encoded photos by name; each class is one scene, slightly rotated and shifted."""
    rng = np.random.default_rng(3)
    encoded = {}
    for kind in range(CLASSES):
        scene = np.full((SIDE, SIDE, 3), 128, np.uint8)
        for _ in range(60):
            center, axes = rng.integers(0, SIDE, 2), tuple(map(int, rng.integers(3, 14, 2)))
            color = tuple(int(c) for c in rng.integers(0, 256, 3))
            cv2.ellipse(scene, tuple(map(int, center)), axes, 30, 0, 300, color, -1)
        for i in range(EACH):
            center = (SIDE / 2, SIDE / 2)
            transform = cv2.getRotationMatrix2D(center, float(rng.uniform(-12, 12)), 1.0)
            transform[:, 2] += rng.uniform(-6, 6, 2)
            view = cv2.warpAffine(scene, transform, (SIDE, SIDE), borderMode=cv2.BORDER_REFLECT)
            encoded[f"kind-{kind}/{i}.png"] = cv2.imencode(".png", view)[1].tobytes()
    return encoded


def write_photos(folder: Path) -> Path:
    for name, data in encoded_photos().items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
    return folder


@cache  # composing takes longer than a run on so few photos
def _compose(choices):
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return compose("config", [*choices, "data=folder"])


def config_for(photos: Path, cache_dir: Path, *overrides: str):
    choices = tuple(override for override in overrides if "." not in override.partition("=")[0])
    cfg = deepcopy(_compose(choices))
    options = [override for override in overrides if override not in choices]
    for override in (
        *options,
        f"data.root={photos}",
        f"cache.dir={cache_dir}",
        "data.train=0.4",
        "k=[1]",
    ):
        name, _, value = override.partition("=")
        OmegaConf.update(cfg, name, yaml.safe_load(value))
    return to_config(cfg)


def create_run(photos: Path, cache_dir: Path, *overrides: str):
    """Return the saved run, the split and the ranking of a run."""
    config = config_for(photos, cache_dir, *overrides)
    split = config.data.load(seed=config.seed, cache=cache_dir)
    method = config.method(Meter())
    check(config, split, method)
    split = split.without(method.extract(split.images))
    method.fit(split)
    to_depth = depth(split, config.k, shown=config.contact_sheets.depth)
    ranking = method.index(split.gallery).query(split.query, to_depth, split.exclusion)
    saved = SavedRun.create(
        config, split, run_id=RUN_ID, name="toy run", uri="sqlite:////x/mlflow.db"
    )
    saved.save(cache_dir)
    return saved, split, ranking
