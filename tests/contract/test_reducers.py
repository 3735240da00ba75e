"""Contract of all reducers."""

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.cache import fit_or_load
from outliers_bench.retrieval.reduction.learned_whitening import LearnedWhitening
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.random_projection import RandomProjection
from tests.toys import image_set

CASES = {
    "pca": Pca(n=5),
    "pca, whitened": Pca(n=5, whiten=True),
    "learned whitening": LearnedWhitening(n=5),
    "learned whitening, not shrunk": LearnedWhitening(n=5, shrinkage=0.0),
    "random projection": RandomProjection(n=5),
}
SHAPES = {"more photos than dimensions": (60, 12), "fewer": (20, 50)}


@pytest.fixture(params=CASES.values(), ids=CASES.keys())
def reducer(request):
    return request.param


@pytest.fixture(params=SHAPES.values(), ids=SHAPES.keys())
def shape(request):
    return request.param


def cloud(shape, seed=0):
    rng = np.random.default_rng(seed)
    spread = np.linspace(3, 0.1, shape[1])
    return (rng.normal(size=shape) * spread + 5).astype(np.float32)


def labels(count, classes=4):
    return np.arange(count, dtype=np.int64) % classes


def test_projections_are_float32_of_the_requested_shape(reducer, shape):
    projection = reducer.fit(cloud(shape), labels(shape[0]))
    assert projection.mean.dtype == projection.axes.dtype == np.float32
    assert projection.mean.shape == (shape[1],)
    assert projection.axes.shape == (shape[1], 5)
    for m in (1, 7):
        got = projection(cloud((m, shape[1]), seed=1))
        assert got.shape == (m, 5)
        assert got.dtype == np.float32
        assert np.ptp(got) > 0


def test_fits_are_deterministic_and_do_not_modify_inputs(reducer, shape):
    vectors, classes = cloud(shape), labels(shape[0])
    before = vectors.copy(), classes.copy()
    first, again = reducer.fit(vectors, classes), reducer.fit(vectors, classes)
    assert first.mean.tobytes() == again.mean.tobytes()
    assert first.axes.tobytes() == again.axes.tobytes()
    assert first(vectors).tobytes() == again(vectors).tobytes()
    assert np.array_equal(vectors, before[0])
    assert np.array_equal(classes, before[1])


def test_cached_fits_equal_fresh_fits(reducer, shape, tmp_path):
    part = image_set([f"photo {i}" for i in range(shape[0])])
    fit = {"labels": labels(shape[0]), "vectors_of": "toy", "cache": tmp_path}
    first = fit_or_load(reducer, part, load=lambda: cloud(shape), **fit)
    cached = fit_or_load(reducer, part, load=lambda: pytest.fail("fitted again"), **fit)
    assert cached.mean.tobytes() == first.mean.tobytes()
    assert cached.axes.tobytes() == first.axes.tobytes()
    assert cached.mean.dtype == cached.axes.dtype == np.float32


def test_projections_do_not_depend_on_other_vectors(reducer, shape):
    projection = reducer.fit(cloud(shape), labels(shape[0]))
    vectors = cloud((30, shape[1]), seed=2)
    together = projection(vectors)
    alone = np.concatenate([projection(vector[None]) for vector in vectors])
    assert np.abs(alone - together).max() <= 1e-5 * np.abs(together).max()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda x: x[np.arange(len(x)) % 4], id="duplicates"),
        pytest.param(lambda x: x * (np.arange(x.shape[1]) % 2), id="columns without variance"),
        pytest.param(lambda x: x * (np.arange(len(x)) % 3 > 0)[:, None], id="zero vectors"),
        pytest.param(lambda x: x * 0 + 3, id="all the same"),
        pytest.param(lambda x: x * 0, id="all zero"),
        pytest.param(lambda x: x * 1e-12, id="tiny"),
        pytest.param(lambda x: x * 1e12, id="huge"),
    ],
)
def test_results_are_finite(reducer, shape, damage):
    vectors = damage(cloud(shape)).astype(np.float32)
    projection = reducer.fit(vectors, labels(shape[0]))
    assert np.isfinite(projection.axes).all()
    assert np.isfinite(projection(vectors)).all()


@pytest.mark.parametrize("reducer", [Pca(n=51), LearnedWhitening(n=51), RandomProjection(n=51)])
def test_too_many_dimensions_are_an_error_with_both_numbers(reducer):
    reducer.check()
    with pytest.raises(BenchError, match=r"\w\.n=51 .* 50 dimensions") as error:
        reducer.check_fit(n_fit=1000, dimensions=50, fitted_on="train")
    assert "\n" not in str(error.value)
    reducer.check_fit(n_fit=1000, dimensions=51, fitted_on="train")


@pytest.mark.parametrize("n", [0, -1])
def test_zero_dimensions_are_an_error(reducer, n):
    with pytest.raises(BenchError, match=rf"\w\.n={n}: .* at least 1"):
        type(reducer)(n=n).check()


def test_labels():
    labels = {type(reducer)(n=128).label for reducer in CASES.values()}
    assert labels == {"PCA 128", "learned whitening 128", "random projection 128"}
    assert LearnedWhitening().label == "learned whitening"
    assert LearnedWhitening(n=64, shrinkage=0.5).label == "learned whitening 64 shrinkage=0.5"
    assert all(reducer.active for reducer in CASES.values())
