"""Methods and photos of the contract tests of methods."""

from copy import deepcopy
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
from hydra import compose, initialize_config_dir

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import Config, register, to_config
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import ITSELF, Split
from tests.toys import ArrayReader, image_set

SMALL = ("model.max_keypoints=60", "model.longest_side=128")
PIXELS = "'pixels image_size=16'"
SIFT, VLAD = "'sift max_keypoints=60 longest_side=128'", "'sift_vlad words=8 max_keypoints=60'"
CASES = {
    "pixels": ("model=pixels", "model.image_size=16"),
    "sift": ("model=sift", *SMALL),
    "sift unverified": ("model=sift", "model.verify=none", *SMALL),
    "sift, all verified": ("model=sift", "model.shortlist=null", "model.cross_check=true", *SMALL),
    "plain sift, affine": ("model=sift", "model.rootsift=false", "model.verify=affine", *SMALL),
    "orb": ("model=sift", "model.detector=orb", "model.verify=similarity", *SMALL),
    "akaze": ("model=sift", "model.detector=akaze", *SMALL),
    "vlad": ("model=sift_vlad", "model.words=8", *SMALL),
    "vlad, pca": ("model=sift_vlad", "model.words=8", "pca.n=5", *SMALL),
    "rerank": (
        *("model=pixels", "model.image_size=16", "rerank=spatial", "rerank.shortlist=4"),
        *("rerank.max_keypoints=60", "rerank.longest_side=128"),
    ),
    "ensemble, concatenated": ("model=ensemble", f"model.members=[{PIXELS},{VLAD}]", "pca.n=6"),
    "ensemble, ranks": (
        *("model=ensemble", f"model.members=[{PIXELS},{SIFT}]", "model.fusion=rrf"),
        "model.member_weights=[1,3]",
    ),
    "ensemble, tuned scores": (
        *("model=ensemble", f"model.members=[{PIXELS},{VLAD},{SIFT}]", "model.fusion=zscore"),
        "model.member_weights=tuned",
    ),
}
CNN = ("image_size=22", "epochs=8", "batch_size=2", "learning_rate=0.002", "validation=0")
TRAINED = {
    "cnn_scratch": ("model=cnn_scratch", *(f"model.{option}" for option in CNN)),
    "cnn_scratch, classes": (
        *("model=cnn_scratch", *(f"model.{option}" for option in CNN)),
        "model.rank_by=class_scores",
    ),
    "transfer": (
        *("model=transfer", "model.weights=random", "model.image_size=32", "model.pooling=avg"),
        *("model.epochs=3", "model.validation=0", "model.embedding=penultimate"),
    ),
    "ensemble, trained": (
        *("model=ensemble", f"model.members=[{PIXELS},'cnn_scratch {' '.join(CNN)}']"),
        "model.fusion=rrf",
    ),
    "ensemble, trained, concatenated": (
        *("model=ensemble", f"model.members=[{PIXELS},'cnn_scratch {' '.join(CNN)}']"),
    ),
    "ensemble, trained, tuned": (
        *("model=ensemble", f"model.members=[{PIXELS},'cnn_scratch {' '.join(CNN)}']"),
        *("model.fusion=rrf", "model.member_weights=tuned"),
    ),
}
CLASSES, EACH = 4, 6


def texture(rng):
    """Draw blobs and corners of several sizes, in color."""
    image = np.full((150, 150, 3), 128, np.uint8)
    for _ in range(90):
        center, axes = rng.integers(0, 150, 2), rng.integers(3, 14, 2)
        color = tuple(int(c) for c in rng.integers(0, 256, 3))
        cv2.ellipse(image, tuple(map(int, center)), tuple(map(int, axes)), 30, 0, 300, color, -1)
    return image


def photos():
    """Draw one scene per class, slightly rotated and shifted in each photo."""
    rng = np.random.default_rng(3)
    scenes = [texture(rng) for _ in range(CLASSES)]
    arrays = {}
    for label, scene in enumerate(scenes):
        for i in range(EACH):
            motion = cv2.getRotationMatrix2D((75, 75), float(rng.uniform(-12, 12)), 1.0)
            motion[:, 2] += rng.uniform(-6, 6, 2)
            photo = cv2.warpAffine(scene, motion, (150, 150), borderMode=cv2.BORDER_REFLECT)
            noise = rng.normal(0, 3, photo.shape)
            arrays[f"{label}/{i}"] = np.clip(photo + noise, 0, 255).astype(np.uint8)
    return arrays


PHOTOS = photos()


FOLDER = TemporaryDirectory()  # removed at exit


def vectors() -> Path:
    """Write embeddings of the photos that another program could have computed: small thumbnails."""
    file = Path(FOLDER.name) / "vectors.npz"
    small = [cv2.resize(photo, (6, 6), interpolation=cv2.INTER_AREA) for photo in PHOTOS.values()]
    matrix = np.stack(small).reshape(len(small), -1).astype(np.float16)
    np.savez(file, names=list(PHOTOS), embeddings=matrix)
    return file


CASES["embeddings"] = ("model=embeddings", f"model.file={vectors()}", "pca.n=4")


def split_of(arrays, *, leave_one_out=False) -> Split:
    reader = ArrayReader(dict(arrays))

    def part(numbers):
        names = [name for name in PHOTOS if int(name[-1]) in numbers]
        labels = [int(name[0]) for name in names]
        return image_set(names, labels, [str(i) for i in range(CLASSES)], reader)

    if leave_one_out:
        images = part(range(EACH))
        return Split("toy", part(()), images, images, excluded=ITSELF)
    return Split("toy", part((0, 1)), part((2, 3)), part((4, 5)))


@cache
def compose_case(overrides) -> Config:
    """Compose a config once per case, because that takes longer than most tests."""
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", [*overrides, "k=[1]"]))


def build_method(overrides, cache, meter=None):
    config = deepcopy(compose_case(tuple(overrides)))
    config.cache.dir = str(cache)
    return config.method(meter or Meter())


def query(method, split, depth):
    return method.index(split.gallery).query(split.query, depth, split.exclusion)


def rank(overrides, cache, split, depth, meter=None):
    method = build_method(overrides, cache, meter)
    method.check(split)
    split = split.without(method.extract(split.images))
    method.fit(split)
    return method, split, query(method, split, depth)
