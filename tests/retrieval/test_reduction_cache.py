"""Cache of fitted reducers: keys, shared PCA fits, and damaged files."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.retrieval.reduction import principal_axes
from outliers_bench.retrieval.reduction.cache import fit_or_load
from outliers_bench.retrieval.reduction.learned_whitening import LearnedWhitening
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.random_projection import RandomProjection
from tests.counting import count_calls
from tests.toys import image_set

VECTORS = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
PART = image_set([f"photo {i}" for i in range(12)])
LABELS = np.arange(12, dtype=np.int64) % 3


class Fits:
    """Fits with a cache, counting how often vectors are loaded."""

    def __init__(self, cache):
        self.cache = cache
        self.loaded = 0

    def __call__(self, reducer=None, part=PART, labels=LABELS, vectors_of="toy"):
        return fit_or_load(
            reducer or LearnedWhitening(n=3),
            part,
            labels=labels,
            vectors_of=vectors_of,
            load=lambda: self._load(len(part)),
            cache=self.cache,
        )

    def _load(self, count):
        self.loaded += 1
        return VECTORS[:count]

    @property
    def files(self):
        return sorted((self.cache / "reducers").iterdir())


@pytest.fixture
def fit(tmp_path):
    return Fits(tmp_path)


def test_the_second_fit_loads_no_vectors(fit):
    first = fit()
    again = fit()
    assert fit.loaded == 1
    assert len(fit.files) == 1
    assert again.axes.tobytes() == first.axes.tobytes()
    expected = LearnedWhitening(n=3).fit(VECTORS, LABELS)
    assert again.axes.tobytes() == expected.axes.tobytes()
    assert again.mean.tobytes() == expected.mean.tobytes()


def test_every_difference_has_its_own_file(fit):
    other_labels = LABELS.copy()
    other_labels[0] = 1
    calls = [
        {},
        {"labels": other_labels},
        {"part": PART.take([*range(11), 0])},
        {"part": PART.take(range(11)), "labels": LABELS[:11]},
        {"vectors_of": "other"},
        {"reducer": LearnedWhitening(n=4)},
        {"reducer": LearnedWhitening()},
        {"reducer": LearnedWhitening(n=3, shrinkage=0.2)},
        {"reducer": Pca(n=3)},
        {"reducer": Pca(n=3), "vectors_of": "other"},
        {"reducer": RandomProjection(n=3)},
        {"reducer": RandomProjection(n=3, random_seed=1)},
    ]
    for call in calls:
        fit(**call)
    assert fit.loaded == len(fit.files) == len(calls)


def test_unused_labels_are_not_part_of_the_key(fit):
    for labels in (LABELS, None, LABELS[::-1].copy()):
        fit(Pca(n=3), labels=labels)
    assert fit.loaded == len(fit.files) == 1


PCAS = [Pca(n=n, whiten=whiten) for n in (2, 6, 4) for whiten in (False, True)]


@pytest.fixture
def decompositions(monkeypatch):
    """Matrices that are decomposed, with the requested numbers of vectors."""
    return count_calls(monkeypatch, principal_axes, "leading_eigenvectors")


def test_all_numbers_of_components_share_one_decomposition(fit, decompositions):
    for pca in PCAS:
        fit(pca)
    assert [n for _, n in decompositions] == [6]
    assert fit.loaded == len(fit.files) == 1


@pytest.mark.parametrize("wide", [False, True], ids=["tall", "wide"])
@pytest.mark.parametrize("limit", [1 << 23, 0], ids=["shared", "each its own"])
def test_results_do_not_depend_on_the_order_of_fits(tmp_path, monkeypatch, wide, limit):
    monkeypatch.setattr("outliers_bench.retrieval.reduction.pca.MAX_VALUES", limit)
    part = PART.take(range(5)) if wide else PART
    pcas = [pca for pca in PCAS if pca.n <= 5] if wide else PCAS
    forward, backward = Fits(tmp_path / "forward"), Fits(tmp_path / "backward")
    one = [forward(pca, part) for pca in pcas]
    other = [backward(pca, part) for pca in pcas[::-1]][::-1]
    alone = [pca.fit(VECTORS[: len(part)], None) for pca in pcas]
    for pca, *projections in zip(pcas, one, other, alone, strict=True):
        assert {projection.axes.shape for projection in projections} == {(6, pca.n)}
        assert len({projection.axes.tobytes() for projection in projections}) == 1
        assert len({projection.mean.tobytes() for projection in projections}) == 1


def test_each_number_has_its_own_fit_if_all_components_are_too_large(
    fit, decompositions, monkeypatch
):
    monkeypatch.setattr("outliers_bench.retrieval.reduction.pca.MAX_VALUES", 35)
    for pca in PCAS * 2:
        fit(pca)
    assert [n for _, n in decompositions] == [2, 6, 4]
    assert fit.loaded == len(fit.files) == 3


def test_axes_of_a_pca_are_cached_in_float32(fit):
    fit(Pca(n=2))
    (file,) = fit.files
    with np.load(file) as arrays:
        sizes = {name: (array.dtype.name, array.shape) for name, array in arrays.items()}
    assert sizes == {
        "mean": ("float32", (6,)),
        "axes": ("float32", (6, 6)),
        "variances": ("float64", (6,)),
    }


MEAN, AXES, VARIANCES = np.zeros(6, np.float32), np.ones((6, 6), np.float32), np.ones(6)


@pytest.mark.parametrize(
    "arrays",
    [
        {"mean": MEAN, "axes": AXES},
        {"mean": MEAN, "axes": AXES[:, :3], "variances": VARIANCES[:3]},
        {"mean": MEAN, "axes": AXES, "variances": VARIANCES[:3]},
        {"mean": MEAN[:5], "axes": AXES, "variances": VARIANCES},
    ],
    ids=["half", "too few", "of two shapes", "another mean"],
)
def test_a_file_without_enough_components_is_fitted_again(fit, arrays):
    first = fit(Pca(n=4, whiten=True))
    (file,) = fit.files
    with file.open("wb") as stream:
        np.savez(stream, **arrays)
    assert fit(Pca(n=4, whiten=True)).axes.tobytes() == first.axes.tobytes()
    assert fit.loaded == 2
    assert fit(Pca(n=5)).axes.shape == (6, 5)
    assert fit.loaded == 2, "it is cached again"


def test_names_and_readers_are_not_part_of_the_key(fit):
    fit()
    fit(part=replace(PART, names=tuple("abcdefghijkl")))
    assert fit.loaded == 1


def test_a_truncated_file_is_fitted_again(fit):
    first = fit()
    (file,) = fit.files
    content = file.read_bytes()
    for length in [0, 1, 3, 4, *range(5, len(content), 13), len(content) - 1]:
        file.write_bytes(content[:length])
        before = fit.loaded
        assert fit().axes.tobytes() == first.axes.tobytes()
        assert fit.loaded == before + 1, f"{length} of {len(content)} bytes were accepted"
        assert file.read_bytes()[:4] == content[:4], "it is cached again"


def test_a_damaged_byte_is_fitted_again(fit):
    first = fit()
    (file,) = fit.files
    content = file.read_bytes()
    for position in range(0, len(content), 7):
        damaged = bytearray(content)
        damaged[position] ^= 0xFF
        file.write_bytes(damaged)
        fitted = fit()
        assert fitted.axes.tobytes() == first.axes.tobytes()
        assert fitted.mean.tobytes() == first.mean.tobytes()
    assert fit.loaded > 50


@pytest.mark.parametrize(
    "arrays",
    [
        {"mean": np.zeros(6, np.float32)},
        {"mean": np.zeros(6, np.float32), "axes": np.zeros(6, np.float32)},
        {"mean": np.zeros(5, np.float32), "axes": np.zeros((6, 3), np.float32)},
        {"mean": np.zeros(6), "axes": np.zeros((6, 3))},
        {"mean": np.zeros(6, np.float32), "axes": np.array([[{}]], dtype=object)},
    ],
    ids=["half", "flat", "of two shapes", "float64", "pickled"],
)
def test_an_invalid_file_is_fitted_again(fit, arrays):
    first = fit()
    (file,) = fit.files
    with file.open("wb") as stream:
        np.savez(stream, **arrays)
    assert fit().axes.tobytes() == first.axes.tobytes()
    assert fit.loaded == 2
    with file.open("wb") as stream:
        np.save(stream, np.zeros(3))  # a single array, not an archive
    assert fit().axes.tobytes() == first.axes.tobytes()


def test_a_failed_fit_leaves_no_file(fit):
    def broken():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_or_load(Pca(n=2), PART, labels=None, vectors_of="toy", load=broken, cache=fit.cache)
    assert not fit.files
