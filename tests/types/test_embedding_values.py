"""Embeddings have finite values only."""

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.types import Embeddings
from tests.toys import image_set


def test_vectors_that_are_not_finite_are_refused_with_their_photo():
    matrix = np.full((3, 2), 3e38, np.float32)  # the sum would be infinite in float32
    Embeddings(image_set(["a", "b", "c"]), matrix)
    Embeddings(image_set(["a", "b", "c"]), np.full((3, 2), 1e308))
    for values in ([np.nan, 0], [np.inf, 0], [np.inf, -np.inf]):
        matrix[1] = values
        with pytest.raises(BenchError, match=r"1 of 3 embeddings are not finite, that of b first"):
            Embeddings(image_set(["a", "b", "c"]), matrix)
