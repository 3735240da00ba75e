"""A toy model for test-time augmentation, and photos of noise."""

from dataclasses import dataclass, field

import numpy as np

from outliers_bench.engines.options import Engine
from outliers_bench.features.view_average import build_features
from outliers_bench.models.model import Extractor
from outliers_bench.models.tta import Crops, Tta
from outliers_bench.runtime.meter import Meter
from tests.toys import image_set, noise_images

ALL_VIEWS = Tta(flip=True, scales=[1.0, 0.5, 2.0], crops=Crops.five)


@dataclass
class Corners(Extractor):
    """A model of the four corner pixels, which records prepared sizes and embedded images."""

    name: str = "corners"
    image_size: int = 8
    prepared: list[int] = field(default_factory=list)
    embedded: list[int] = field(default_factory=list)

    @property
    def dimensions(self):
        return 12

    def space(self):
        return {"architecture": "corners", "image_size": self.image_size}

    def embedder(self, engine, cache, sample):
        self.prepared.append(self.image_size)
        assert {image.shape for image in sample()} == {(self.image_size, self.image_size, 3)}

        def embed(images):
            for key, image in images:
                assert image.shape == (self.image_size, self.image_size, 3)
                self.embedded.append(self.image_size)
                yield key, corners(image)

        return embed


def corners(image):
    return image[[0, 0, -1, -1], [0, -1, 0, -1]].astype(np.float32).reshape(-1)


def photos(count=6, broken=()):
    reader = noise_images(count)
    for i in broken:
        del reader.arrays[f"image-{i}"]
    return image_set([f"image-{i}" for i in range(count)], reader=reader)


def tta_features(model, cache, meter=None):
    return build_features(model, Engine(), cache, meter or Meter())


def unit(vector):
    return vector / np.linalg.norm(vector)
