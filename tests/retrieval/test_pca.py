"""PCA: reference implementations, numerical limits and validation."""

import tracemalloc

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.pca import Pca


def cloud(n, d, seed=0):
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n, d)) * np.linspace(3, 0.1, d) + 5).astype(np.float32)


@pytest.mark.parametrize(("n", "d"), [(200, 16), (16, 50)], ids=["tall", "wide"])
def test_spans_the_leading_eigenvectors(n, d):
    x = cloud(n, d)
    got = Pca(n=5).fit(x, None)(x)
    values, vectors = np.linalg.eigh(np.cov(x.T.astype(np.float64)))
    expected = (x - x.mean(axis=0)) @ vectors[:, ::-1][:, :5]
    assert got.dtype == np.float32
    assert np.allclose(np.abs(got), np.abs(expected), atol=1e-3)
    assert np.allclose(got.var(axis=0, ddof=1), values[::-1][:5], rtol=1e-3)


def test_whitening_gives_unit_variance():
    x = cloud(300, 10)
    assert np.allclose(Pca(n=10, whiten=True).fit(x, None)(x).std(axis=0, ddof=1), 1, atol=1e-3)


def test_whitening_does_not_amplify_directions_without_variance():
    x = np.repeat(cloud(50, 4), 2, axis=1)  # rank 4 in 8 dimensions
    assert np.isfinite(Pca(n=8, whiten=True).fit(x, None)(x)).all()


def test_all_components_preserve_distances():
    x = cloud(60, 8)
    y = Pca(n=8).fit(x, None)(x)
    before = np.linalg.norm(x[:, None] - x[None], axis=2)
    assert np.allclose(np.linalg.norm(y[:, None] - y[None], axis=2), before, atol=1e-3)


def test_as_many_components_as_images_preserve_distances():
    x = cloud(12, 40)  # centered, they span 11 directions: the twelfth has no variance
    y = Pca(n=12).fit(x, None)(x)
    before = np.linalg.norm(x[:, None] - x[None], axis=2)
    assert np.allclose(np.linalg.norm(y[:, None] - y[None], axis=2), before, atol=1e-3)
    assert np.isfinite(Pca(n=12, whiten=True).fit(x, None)(x)).all()


def test_against_scikit_learn():
    from sklearn.decomposition import PCA

    for x in (cloud(80, 20), cloud(20, 80)):
        expected = PCA(10, svd_solver="full").fit_transform(x)
        assert np.allclose(np.abs(Pca(n=10).fit(x, None)(x)), np.abs(expected), atol=1e-3)


@pytest.mark.parametrize(("n", "d"), [(2500, 30), (30, 2500)], ids=["tall", "wide"])
def test_results_do_not_depend_on_the_block_size(n, d):
    from sklearn.decomposition import PCA

    x = cloud(n, d)
    expected = PCA(12, svd_solver="full", whiten=True).fit_transform(x.astype(np.float64))
    result = Pca(n=12, whiten=True).fit(x, None)(x)
    assert np.allclose(np.abs(result), np.abs(expected), atol=1e-4)


def test_vectors_are_not_copied():
    x = np.random.default_rng(0).standard_normal((20_000, 60), np.float32)
    Pca(n=2).fit(x[:9, :9], None)  # imports what it needs
    tracemalloc.start()
    projection = Pca(n=3).fit(x, None)
    fitting = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    projection(x)
    projecting = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert max(fitting, projecting) < 0.5 * x.nbytes


def test_too_many_components_are_an_error_with_both_numbers():
    with pytest.raises(BenchError, match=r"pca\.n=500.* 300 train .* 1024 dimensions.* 300"):
        Pca(n=500).check_fit(n_fit=300, dimensions=1024, fitted_on="train")
    with pytest.raises(BenchError, match="at most 128"):
        Pca(n=500).check_fit(n_fit=3000, dimensions=128, fitted_on="train")


@pytest.mark.parametrize("pca", [Pca(n=0), Pca(n=-3), Pca(n=None, whiten=True)])
def test_invalid_options_are_an_error(pca):
    with pytest.raises(BenchError, match=r"pca\."):
        pca.check()


def test_no_pca_is_valid():
    Pca().check()
    Pca().check_fit(n_fit=1, dimensions=1, fitted_on="gallery")
    assert not Pca().active
