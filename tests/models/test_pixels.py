from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from outliers_bench.models.pixels import Pixels


def test_the_embedding_is_the_thumbnail() -> None:
    pixels = Pixels("pixels", 2)
    image = np.array([[[0, 51, 255], [1, 2, 3]], [[4, 5, 6], [7, 8, 9]]], dtype=np.uint8)
    embed = pixels.embedder(Engine(), Path(), lambda: [])
    [(key, vector)] = embed([(b"a", image)])
    assert key == b"a"
    assert vector.dtype == np.float32
    assert vector.shape == (pixels.dimensions,) == (12,)
    np.testing.assert_allclose(vector[:3], [0, 0.2, 1])
    np.testing.assert_allclose(vector * 255, image.reshape(-1), atol=1e-5)


def test_options_are_checked() -> None:
    Pixels("pixels", 1).check()
    with pytest.raises(BenchError, match="image_size=0"):
        Pixels("pixels", 0).check()
    assert Pixels("a", 8).space() == Pixels("b", 8).space() != Pixels("a", 9).space()
