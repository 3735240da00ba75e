"""Embeddings as `EmbeddingMethod` loads them."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from outliers_bench.methods.embedding import EmbeddingMethod
from outliers_bench.methods.parts import EmbeddingSearch, Workspace
from outliers_bench.models.pixels import Pixels
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.normalize import L2
from outliers_bench.retrieval.rerank.dba import DatabaseAugmentation
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Embeddings, Exclusion
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


def test_exclusions_that_a_reranking_does_not_support_are_refused_after_the_check_of_the_split(
    tmp_path,
):
    """The second score of a run, with the photos that were dropped, may exclude more than it."""
    workspace = Workspace(Engine(), tmp_path, 0, Meter())
    search = EmbeddingSearch(index=FaissHnsw(), rerank=DatabaseAugmentation())
    images = image_set([f"image-{i}" for i in range(8)])
    gallery = EmbeddingMethod(Pixels("pixels", 8), Source(), search, workspace).index(images)
    two_cameras = Exclusion.same_value(np.arange(8) % 2, np.arange(8) % 2, own=np.arange(8))
    with pytest.raises(BenchError, match="would hide the errors of index="):
        gallery.query(images, 4, two_cameras)
