"""Six photos of gnus and lions, and annotations of them in each format."""

from __future__ import annotations

import json

import numpy as np
from PIL import Image

from outliers_bench.data.manifest import Manifest

WIDTH, HEIGHT = 200, 100
PARTS = ("train", "query", "gallery")
NAMES = [f"{kind}/{number}.png" for kind in ("gnu", "lion") for number in range(3)]


def write_photos(folder):
    for seed, name in enumerate(NAMES):
        pixels = np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
        (folder / name).parent.mkdir(exist_ok=True)
        Image.fromarray(pixels).save(folder / name)
    return folder


def coco():
    """Two boxes in each of six photos: the species is the category, the animal an attribute."""
    categories = [{"id": 7, "name": "gnu"}, {"id": 9, "name": "lion"}]
    images, annotations = [], []
    for number, name in enumerate(NAMES):
        size = {"width": WIDTH, "height": HEIGHT}
        images.append({"id": number, "file_name": name, "location": "river", **size})
        for at, x in enumerate((10, 110)):
            annotations.append(
                {
                    **{"id": 2 * number + at, "image_id": number, "iscrowd": 0},
                    **{"category_id": 7 if "gnu" in name else 9, "bbox": [x, 20, 60, 40]},
                    "attributes": {"animal": f"{name[:3]}{at}", "seen": 3.0},
                }
            )
    return {"images": images, "annotations": annotations, "categories": categories}


def megadetector():
    """Two animals in each photo, one of them with a confidence of 0.1, and a person."""
    images = [
        {
            "file": name,
            "detections": [
                {"category": "1", "conf": 0.93, "bbox": [0.05, 0.2, 0.3, 0.4]},
                {"category": "1", "conf": 0.1, "bbox": [0.55, 0.2, 0.3, 0.4]},
                {"category": "2", "conf": 0.9, "bbox": [0.3, 0.1, 0.4, 0.8]},
            ],
        }
        for name in NAMES
    ]
    return {"images": images, "detection_categories": {"1": "animal", "2": "person"}}


def label_studio():
    """One rectangle in each photo; photos were uploaded, or are in a folder of the server."""

    def region(kind, value, **others):
        size = {"original_width": WIDTH, "original_height": HEIGHT, "image_rotation": 0}
        return {"id": "r1", "type": kind, "value": value, **size, **others}

    box = {"x": 5.0, "y": 20.0, "width": 30.0, "height": 40.0, "rotation": 0}
    return [
        {
            "id": number,
            "data": {"image": f"/data/local-files/?d=photos/{name.replace('/', '%2F')}"},
            "annotations": [
                {"was_cancelled": True, "result": []},
                {
                    "was_cancelled": False,
                    "result": [
                        region(
                            *("rectanglelabels", {**box, "rectanglelabels": [name.split("/")[0]]}),
                            from_name="label",
                        ),
                        region("choices", {**box, "choices": ["male"]}, from_name="sex"),
                        {"value": {"choices": ["dry"]}, "from_name": "season", "id": "c"},
                    ],
                },
            ],
        }
        for number, name in enumerate(NAMES)
    ]


def source(content, photos, **options):
    text = content if isinstance(content, str) else json.dumps(content)
    (photos / "animals.json").write_text(text, encoding="utf-8")
    return Manifest(path=str(photos / "animals.json"), **{"box_margin": 0.0, **options})


def labels_of(split):
    return {
        name: part.classes[label]
        for part in (split.train, split.query, split.gallery)
        for name, label in zip(part.names, part.labels, strict=True)
    }


def excluded(split):
    return [(item.name, item.kind, item.detail) for item in split.left_out]
