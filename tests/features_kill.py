"""A model slow enough to be killed while it embeds; test_extract uses it in two processes."""

import time
from dataclasses import dataclass

from outliers_bench.models.pixels import Pixels
from tests.toys import image_set, noise_images


@dataclass
class SlowModel(Pixels):
    name: str = "slow"
    image_size: int = 6

    def embedder(self, engine, cache, sample):
        fast = super().embedder(engine, cache, sample)

        def embed(images):
            for pair in fast(images):
                time.sleep(0.005)
                print("embedded", flush=True)
                yield pair

        return embed


def all_images():
    return image_set([f"image-{i}" for i in range(200)], reader=noise_images(200))
