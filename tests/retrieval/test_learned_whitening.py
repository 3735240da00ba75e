"""Learned whitening: reference implementations, and comparison with PCA."""

import itertools

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from scipy.linalg import sqrtm

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.errors import BenchError
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.reduction.learned_whitening import LearnedWhitening, pair_covariances
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.runtime.meter import Meter
from tests.toys import BARE, toy_split

LABELS = np.array(
    [0] * 9 + [1] * 4 + [2] * 12 + [4], dtype=np.int64
)  # class 3 is empty, class 4 has one photo


def cloud(d, seed=0):
    rng = np.random.default_rng(seed)
    centers = rng.normal(size=(5, d))
    spread = rng.uniform(0.2, 2, d)
    return (centers[LABELS] + rng.normal(size=(len(LABELS), d)) * spread + 3).astype(np.float32)


def covariances_pair_by_pair(x):
    sums = {True: np.zeros((x.shape[1],) * 2), False: np.zeros((x.shape[1],) * 2)}
    pairs = {True: 0, False: 0}
    for i, j in itertools.combinations(range(len(x)), 2):
        match = bool(LABELS[i] == LABELS[j])
        sums[match] += np.outer(x[i] - x[j], x[i] - x[j])
        pairs[match] += 1
    return sums[True] / pairs[True], sums[False] / pairs[False]


@pytest.mark.parametrize("d", [6, 40], ids=["tall", "wide"])
def test_closed_form_against_a_loop_over_pairs(d):
    x = cloud(d).astype(np.float64)
    for result, expected in zip(
        pair_covariances(x - x.mean(axis=0), LABELS), covariances_pair_by_pair(x), strict=True
    ):
        np.testing.assert_allclose(result, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("shrinkage", [0.0, 0.1, 1.0])
def test_projection_of_the_paper(shrinkage):
    """C_S^(-1/2) eig(C_S^(-1/2) C_D C_S^(-1/2))."""
    x = cloud(6)
    within, between = covariances_pair_by_pair(x.astype(np.float64))
    within = (1 - shrinkage) * within + shrinkage * np.trace(within) / 6 * np.eye(6)
    root = np.linalg.inv(np.real(sqrtm(within)))
    values, vectors = np.linalg.eigh(root @ between @ root)
    expected = (x - x.mean(axis=0)) @ (root @ vectors[:, ::-1][:, :4])
    projection = LearnedWhitening(n=4, shrinkage=shrinkage).fit(x, LABELS)
    np.testing.assert_allclose(np.abs(projection(x)), np.abs(expected), rtol=1e-3, atol=1e-3)
    assert (projection.axes[np.abs(projection.axes).argmax(axis=0), range(4)] > 0).all()
    ratio = np.diag(projection.axes.T @ between @ projection.axes)
    np.testing.assert_allclose(ratio, values[::-1][:4], rtol=1e-3)


def test_differences_within_classes_are_whitened():
    x = cloud(6)
    y = LearnedWhitening(shrinkage=0.0).fit(x, LABELS)(x).astype(np.float64)
    assert y.shape == x.shape
    np.testing.assert_allclose(covariances_pair_by_pair(y)[0], np.eye(6), atol=1e-3)


def test_few_photos_are_projected_on_their_span():
    """Distances of 26 photos in 40 dimensions equal those of the full matrices."""
    x = cloud(40)
    within, between = covariances_pair_by_pair(x.astype(np.float64))
    within = 0.9 * within + 0.1 * np.trace(within) / len(x) * np.eye(40)
    root = np.linalg.inv(np.real(sqrtm(within)))
    vectors = np.linalg.eigh(root @ between @ root)[1][:, ::-1]
    for n in (3, None):
        projected = LearnedWhitening(n=n).fit(x, LABELS)(x)
        assert projected.shape == (len(x), n or len(x))
        expected = (x - x.mean(axis=0)) @ root @ vectors[:, : n or 40]
        assert np.allclose(distances(projected), distances(expected), rtol=1e-3, atol=1e-3)


def distances(x):
    return np.linalg.norm(x[:, None] - x[None], axis=2)


def nearest_is_right(vectors, classes):
    similarity = l2_normalize(vectors) @ l2_normalize(vectors).T
    np.fill_diagonal(similarity, -np.inf)
    return (classes[similarity.argmax(axis=1)] == classes).mean()


@pytest.mark.parametrize("d", [20, 320], ids=["tall", "wide"])
def test_separates_classes_better_than_pca(d):
    """Photos of a class differ most in four directions that are unrelated to classes."""
    rng = np.random.default_rng(1)
    rotation = np.linalg.qr(rng.normal(size=(d, d)))[0]
    centers = np.zeros((30, d))
    centers[:, 4:10] = 2 * rng.normal(size=(30, 6))

    def photos(kinds):
        noise = rng.normal(size=(len(kinds), d)) * np.array([6.0] * 4 + [0.3] * (d - 4))
        return ((centers[kinds] + noise) @ rotation).astype(np.float32)

    seen, unseen = (np.repeat(np.arange(a, b), 15) for a, b in ((0, 20), (20, 30)))
    train, test = photos(seen), photos(unseen)
    learned, pca, whitened = (
        nearest_is_right(reducer.fit(train, seen)(test), unseen)
        for reducer in (LearnedWhitening(n=6), Pca(n=6), Pca(n=6, whiten=True))
    )
    assert learned > 0.95
    assert max(pca, whitened) < 0.7


@pytest.mark.parametrize(
    ("classes", "message"),
    [([0, 0, 0, 0], "1 classes of at most 4"), ([0, 1, 2, 3], "4 classes of at most 1")],
)
def test_labels_without_pairs_are_an_error(classes, message):
    with pytest.raises(BenchError, match=message) as error:
        LearnedWhitening().fit(np.eye(4, dtype=np.float32), np.array(classes, dtype=np.int64))
    assert "\n" not in str(error.value)


def test_more_dimensions_than_photos_are_an_error():
    with pytest.raises(
        BenchError, match=r"reduce\.n=30 .* 20 train .* 64 dim.* reduce\.n=20 or less"
    ):
        LearnedWhitening(n=30).check_fit(n_fit=20, dimensions=64, fitted_on="train")
    LearnedWhitening().check_fit(n_fit=20, dimensions=64, fitted_on="train")


@pytest.mark.parametrize("shrinkage", [-0.1, 1.1, float("nan")])
def test_a_shrinkage_outside_of_0_to_1_is_an_error(shrinkage):
    with pytest.raises(BenchError, match=r"reduce\.shrinkage="):
        LearnedWhitening(shrinkage=shrinkage).check()


def test_command_line_options():
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        config = to_config(compose("config", [*BARE, "reduce=learned_whitening", "reduce.n=7"]))
    assert config.reducer == LearnedWhitening(n=7)


def test_a_split_without_labeled_train_photos_is_an_early_error(tmp_path):
    register()
    overrides = [*BARE, "reduce=learned_whitening", f"cache.dir={tmp_path}"]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        method = to_config(compose("config", overrides)).method(Meter())
    with pytest.raises(BenchError, match="reduce=learned_whitening learns from the labels"):
        method.check(toy_split([0, 1], [0, 1]))
