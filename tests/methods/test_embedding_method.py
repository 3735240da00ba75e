"""Embeddings as `EmbeddingMethod` loads them."""

import tracemalloc
from pathlib import Path

import numpy as np

from outliers_bench.engines.options import Engine
from outliers_bench.methods.embedding import EmbeddingMethod
from outliers_bench.methods.parts import EmbeddingSearch, Workspace
from outliers_bench.models.pixels import Pixels
from outliers_bench.retrieval.normalize import L2
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Embeddings
from tests.toys import image_set


class Source:
    def load(self, images):
        return Embeddings(images, np.ones((len(images), 2000), np.float32))


def test_at_most_two_matrices_are_in_memory():
    workspace = Workspace(Engine(), Path(), 0, Meter())
    search = EmbeddingSearch(L2(before_reduction=True, after_reduction=True))
    method = EmbeddingMethod(Pixels("pixels", 8), Source(), search, workspace)
    images = image_set([f"image-{i}" for i in range(2000)])
    method.load(images.take([0]))
    tracemalloc.start()
    vectors, _ = method.load(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2.5 * vectors.nbytes
