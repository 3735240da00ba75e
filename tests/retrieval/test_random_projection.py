"""Random projection: distances and angles are preserved as closely as in theory."""

import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.errors import BenchError
from outliers_bench.retrieval.reduction.random_projection import RandomProjection
from tests.toys import BARE


def cloud(n, d, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


@pytest.mark.parametrize("n", [50, 400])
def test_relative_deviation_of_squared_distances_is_sqrt_two_by_n(n):
    x = cloud(120, 500) + 4
    y = RandomProjection(n=n).fit(x, None)(x)
    pairs = np.triu_indices(len(x), 1)
    before, after = (
        (np.linalg.norm(v[:, None] - v[None], axis=2) ** 2)[pairs].astype(np.float64)
        for v in (x, y)
    )
    ratio = after / before
    assert abs(ratio.mean() - 1) < 3 / np.sqrt(n)
    assert ratio.std() == pytest.approx(np.sqrt(2 / n), rel=0.25)
    assert np.abs(ratio - 1).max() < 6 * np.sqrt(2 / n)


def test_cosines_are_preserved_as_vectors_are_not_centered():
    x = cloud(40, 500) + 4  # all within a narrow cone, which centering would widen
    projection = RandomProjection(n=400).fit(x, None)
    assert not projection.mean.any()
    y = projection(x)
    unit = [v / np.linalg.norm(v, axis=1, keepdims=True) for v in (x, y)]
    assert np.allclose(unit[0] @ unit[0].T, unit[1] @ unit[1].T, atol=0.05)


def test_the_projection_depends_on_the_seed_and_not_on_the_vectors():
    one = RandomProjection(n=5).fit(cloud(10, 20), None)
    other = RandomProjection(n=5).fit(cloud(3, 20, seed=1), np.zeros(3, dtype=np.int64))
    assert one.axes.tobytes() == other.axes.tobytes()
    seeded = RandomProjection(n=5, random_seed=1).fit(cloud(10, 20), None)
    assert not np.isclose(one.axes, seeded.axes).any()


def configured(*overrides):
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", [*BARE, "reduce=random_projection", *overrides]))


def test_the_seed_of_the_run_is_that_of_the_projection():
    assert configured("reduce.n=7", "seed=3").reducer == RandomProjection(n=7, random_seed=3)
    assert configured("reduce.n=7").reducer == RandomProjection(n=7)


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        ((), r"reduce\.n=null: "),
        (("reduce.n=0",), r"reduce\.n=0: "),
        (("reduce.n=7", "reduce.random_seed=-1"), r"reduce\.random_seed=-1: from 0"),
        (("reduce.n=7", "pca.n=5"), "leave one of them out"),
    ],
)
def test_invalid_options_are_an_error(overrides, message):
    with pytest.raises(BenchError, match=message) as error:
        configured(*overrides)
    assert "\n" not in str(error.value)
