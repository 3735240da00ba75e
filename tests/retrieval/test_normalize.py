"""L2 normalization: deterministic in any order and block, without further copies."""

import tracemalloc

import numpy as np
import pytest

from outliers_bench.retrieval.normalize import l2_normalize


def vectors(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def test_by_hand():
    rows = np.array([[3, 4], [0, 0], [-5, 0]], dtype=np.float32)
    expected = np.array([[0.6, 0.8], [0, 0], [-1, 0]], dtype=np.float32)
    assert np.array_equal(l2_normalize(rows), expected)
    assert np.array_equal(l2_normalize(rows, order=np.array([2, 0, 2])), expected[[2, 0, 2]])
    assert l2_normalize(rows).dtype == np.float32


@pytest.mark.parametrize("shape", [(0, 5), (1, 1), (7, 300_000), (3000, 501)])
def test_a_row_does_not_depend_on_other_rows(shape):
    rows = vectors(*shape)
    order = np.random.default_rng(1).permutation(len(rows))
    expected = l2_normalize(rows)
    assert expected.shape == shape
    assert np.allclose(np.linalg.norm(expected, axis=1), 1, atol=1e-6)
    assert l2_normalize(rows, order=order).tobytes() == expected[order].tobytes()
    assert l2_normalize(np.asfortranarray(rows)).tobytes() == expected.tobytes()
    for i in range(0, len(rows), 997):
        assert l2_normalize(rows[i : i + 1]).tobytes() == expected[i].tobytes()


def test_only_the_result_is_allocated():
    rows = vectors(20_000, 100)
    order = np.arange(len(rows))[::-1]
    for options in ({}, {"order": order}):
        tracemalloc.start()
        l2_normalize(rows, **options)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 1.6 * rows.nbytes
