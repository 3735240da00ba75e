"""Kept fits: read where nothing differs, fitted anew where anything does or a file is damaged."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.retrieval.reduction.fitted import fitted
from outliers_bench.retrieval.reduction.learned_whitening import LearnedWhitening
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.retrieval.reduction.random_projection import RandomProjection
from tests.toys import image_set

VECTORS = np.random.default_rng(0).normal(size=(12, 6)).astype(np.float32)
PART = image_set([f"photo {i}" for i in range(12)])
LABELS = np.arange(12, dtype=np.int64) % 3


class Fits:
    """Fits in a cache, and counts for which of them the vectors were asked for."""

    def __init__(self, cache):
        self.cache = cache
        self.loaded = 0

    def __call__(self, reducer=None, part=PART, labels=LABELS, vectors_of="toy"):
        return fitted(
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


def test_the_second_time_no_vector_is_asked_for(fit):
    first = fit()
    again = fit()
    assert fit.loaded == 1
    assert len(fit.files) == 1
    assert again.axes.tobytes() == first.axes.tobytes()
    expected = LearnedWhitening(n=3).fit(VECTORS, LABELS)
    assert again.axes.tobytes() == expected.axes.tobytes()
    assert again.mean.tobytes() == expected.mean.tobytes()


def test_whatever_differs_has_a_file_of_its_own(fit):
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
        {"reducer": Pca(n=3, whiten=True)},
        {"reducer": RandomProjection(n=3)},
        {"reducer": RandomProjection(n=3, random_seed=1)},
    ]
    for call in calls:
        fit(**call)
    assert fit.loaded == len(fit.files) == len(calls)


def test_labels_that_are_not_looked_at_do_not_count(fit):
    for labels in (LABELS, None, LABELS[::-1].copy()):
        fit(Pca(n=3), labels=labels)
    assert fit.loaded == len(fit.files) == 1


def test_names_and_readers_do_not_count(fit):
    fit()
    fit(part=replace(PART, names=tuple("abcdefghijkl")))
    assert fit.loaded == 1


def test_a_file_cut_short_anywhere_is_fitted_anew(fit):
    first = fit()
    (file,) = fit.files
    whole = file.read_bytes()
    for length in [0, 1, 3, 4, *range(5, len(whole), 13), len(whole) - 1]:
        file.write_bytes(whole[:length])
        before = fit.loaded
        assert fit().axes.tobytes() == first.axes.tobytes()
        assert fit.loaded == before + 1, f"{length} of {len(whole)} bytes were taken for a fit"
        assert file.read_bytes()[:4] == whole[:4], "and it is kept again"


def test_no_damaged_byte_gives_other_numbers_or_an_error(fit):
    first = fit()
    (file,) = fit.files
    whole = file.read_bytes()
    for place in range(0, len(whole), 7):
        damaged = bytearray(whole)
        damaged[place] ^= 0xFF
        file.write_bytes(damaged)
        found = fit()
        assert found.axes.tobytes() == first.axes.tobytes()
        assert found.mean.tobytes() == first.mean.tobytes()
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
def test_what_is_no_projection_is_fitted_anew(fit, arrays):
    first = fit()
    (file,) = fit.files
    with file.open("wb") as stream:
        np.savez(stream, **arrays)
    assert fit().axes.tobytes() == first.axes.tobytes()
    assert fit.loaded == 2
    with file.open("wb") as stream:
        np.save(stream, np.zeros(3))  # one array, and no archive
    assert fit().axes.tobytes() == first.axes.tobytes()


def test_a_fit_that_fails_leaves_nothing(fit):
    def broken():
        raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted(Pca(n=2), PART, labels=None, vectors_of="toy", load=broken, cache=fit.cache)
    assert not (fit.cache / "reducers").exists()
