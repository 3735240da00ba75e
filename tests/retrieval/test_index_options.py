"""Options of indexes: validation, adjustment to small galleries, and composition by Hydra."""

import logging
import sys
from dataclasses import asdict

import faiss
import numpy as np
import pytest
from hydra import compose, initialize_config_dir

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.annoy_trees import Annoy
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric, fill_missing
from outliers_bench.retrieval.indexes.quantized import FaissIvfPq, FaissSq8
from tests.toys import BARE


def vectors(n, d=12, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).astype(np.float32)


def configured(*overrides):
    register()
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", [*BARE, *overrides])).index


needs_annoy = pytest.mark.extra("annoy")


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[needs_annoy] if name == "annoy" else [])
        for name in SCHEMAS["index"]
    ],
)
def test_config_files_contain_the_defaults(name):
    assert asdict(configured(f"index={name}")) == asdict(SCHEMAS["index"][name](name=name))


@needs_annoy
def test_the_seed_of_the_run_is_that_of_annoy():
    assert configured("index=annoy", "seed=3") == Annoy(random_seed=3)
    assert configured("index=annoy", "seed=3").label == "annoy"


def test_labels_contain_non_default_options():
    index = configured("index=faiss_hnsw", "index.ef_search=64", "index.metric=euclidean")
    assert index.label == "faiss_hnsw ef_search=64"


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (FaissHnsw(m=1), r"index\.m=1: from 2"),
        (FaissHnsw(ef_construction=0), r"index\.ef_construction=0: "),
        (FaissHnsw(ef_search=0), r"index\.ef_search=0: "),
        (FaissHnsw(build_threads=0), r"index\.build_threads=0: "),
        (FaissIvfPq(nlist=0), r"index\.nlist=0: "),
        (FaissIvfPq(nprobe=0), r"index\.nprobe=0: "),
        (FaissIvfPq(subquantizers=0), r"index\.subquantizers=0: "),
        (FaissIvfPq(nbits=0), r"index\.nbits=0: from 1 to 12"),
        (FaissIvfPq(nbits=13), r"index\.nbits=13: from 1 to 12"),
        (FaissIvfPq(build_threads=-1), r"index\.build_threads=-1: "),
        pytest.param(Annoy(n_trees=0), r"index\.n_trees=0: ", marks=needs_annoy),
        pytest.param(Annoy(search_k=0), r"index\.search_k=0: ", marks=needs_annoy),
        pytest.param(Annoy(random_seed=-1), r"index\.random_seed=-1: from 0", marks=needs_annoy),
    ],
    ids=str,
)
def test_invalid_options_are_an_error(index, message):
    with pytest.raises(BenchError, match=message) as error:
        index.check()
    assert "\n" not in str(error.value)


def test_a_missing_annoy_is_an_error_with_the_install_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "annoy", None)
    with pytest.raises(BenchError, match=r"python -m pip install 'annoy>=[\d.]+'"):
        configured("index=annoy")


def test_more_bits_are_more_accurate():
    gallery = vectors(2**10 + 5)
    options = {"nlist": 4, "nprobe": 4, "subquantizers": 12, "metric": Metric.euclidean}
    one, four, ten = (
        -FaissIvfPq(**options, nbits=bits).build(gallery).search(gallery[:50], 1)[1].mean()
        for bits in (1, 4, 10)
    )
    assert one > 1
    assert 0.01 < four < 0.2
    assert ten == pytest.approx(0, abs=1e-4), "every vector has its own code"


@pytest.mark.parametrize("metric", Metric)
def test_subquantizers_that_do_not_divide_the_dimensions(metric):
    queries, gallery = vectors(20, seed=1), vectors(400)
    index = FaissIvfPq(metric=metric, nlist=1, subquantizers=7)
    padded = np.pad(gallery, ((0, 0), (0, 2))), np.pad(queries, ((0, 0), (0, 2)))
    positions, scores = index.build(gallery).search(queries, 9)
    same = index.build(padded[0]).search(padded[1], 9)
    assert np.array_equal(positions, same[0])
    assert np.array_equal(scores, same[1])
    distances = ((queries[:, None] - gallery) ** 2).sum(2)
    truth = -distances if metric is Metric.euclidean else queries @ gallery.T
    expected = np.take_along_axis(truth, positions, axis=1)
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.9


def test_a_gallery_too_small_for_its_codes_is_a_warning(caplog):
    index = FaissIvfPq(nlist=100, subquantizers=4)
    with caplog.at_level(logging.WARNING):
        index.build(vectors(40))
    assert [record.getMessage() for record in caplog.records] == [
        "index.nlist=100 is too large for a gallery of 40 different vectors; using 40",
        "index.nbits=8 is too large for a gallery of 40 different vectors; using 5",
    ]


def test_number_of_lists_by_size_of_the_gallery(caplog):
    def lists(n):
        return FaissIvfPq()._learnable_sizes(n)[0]

    assert [lists(n) for n in (1, 300, 1455, 40_000, 250_000)] == [1, 7, 37, 800, 2000]


def test_faiss_prints_no_warnings(capfd):
    FaissIvfPq(subquantizers=4).build(vectors(300))
    assert capfd.readouterr() == ("", "")


def test_building_restores_the_number_of_threads():
    before = faiss.omp_get_max_threads()
    FaissHnsw().build(vectors(50))
    assert faiss.omp_get_max_threads() == before


def test_building_uses_the_requested_number_of_threads(monkeypatch):
    seen = []
    add = faiss.IndexHNSWFlat.add

    def recording_add(self, gallery):
        seen.append(faiss.omp_get_max_threads())
        add(self, gallery)

    monkeypatch.setattr(faiss.IndexHNSWFlat, "add", recording_add)
    for threads in (1, 2):
        FaissHnsw(build_threads=threads).build(vectors(50))
    assert seen == [1, 2]


def test_scalar_quantization_of_a_constant_dimension():
    gallery = vectors(50)
    gallery[:, 3] = 7
    searcher = FaissSq8(metric=Metric.euclidean).build(gallery)
    positions, scores = searcher.search(gallery[:9], 1)
    assert positions[:, 0].tolist() == list(range(9))
    assert np.allclose(scores, 0, atol=0.01)


def test_missing_results_follow_by_position_with_lower_scores():
    positions = np.array([[5, 1, -1, -1], [0, 1, 2, 3], [-1, -1, -1, -1], [2, -1, 0, -1]])
    lost = np.finfo(np.float32).min
    scores = np.array(
        [[3, -2, lost, lost], [4, 3, 2, 1], [lost] * 4, [lost, lost, 1, lost]], np.float32
    )
    filled, finite = fill_missing(positions, scores)
    assert filled.tolist() == [[5, 1, 0, 2], [0, 1, 2, 3], [0, 1, 2, 3], [2, 0, 1, 3]]
    assert finite[0, :2].tolist() == [3, -2]
    assert finite[0, 2] == finite[0, 3] < -2
    assert finite[0, 2] == pytest.approx(-2)
    assert finite[2].tolist() == [0, 0, 0, 0]
    assert np.isfinite(finite).all(), "even below the lowest float"
    assert positions[0, 2] == -1, "inputs are not modified"


def test_more_probes_increase_recall():
    gallery = vectors(400)
    scores = [
        FaissIvfPq(metric=Metric.euclidean, subquantizers=12, nlist=10, nprobe=probes)
        .build(gallery)
        .search(vectors(30, seed=1), 100)[1]
        for probes in (1, 10)
    ]
    assert (np.diff(scores[0], axis=1) == 0).any(), "missing results have equal scores"
    assert scores[1].sum() > scores[0].sum()


@needs_annoy
def test_annoy_depends_on_the_seed():
    gallery, queries = vectors(400), vectors(30, seed=1)
    one, same, other = (
        Annoy(n_trees=1, search_k=1, random_seed=seed).build(gallery).search(queries, 5)[0]
        for seed in (4, 4, 5)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_disconnected_graph_ranks_all_items():
    # Duplicates are only linked to each other, so a search does not leave them.
    gallery = np.repeat(vectors(10), 60, axis=0)
    positions, scores = FaissHnsw(m=4, ef_search=10).build(gallery).search(vectors(1, seed=1), 600)
    assert sorted(positions[0].tolist()) == list(range(600))
    assert np.isfinite(scores).all()
    assert (np.diff(scores[0]) <= 0).all()
    missed = np.flatnonzero(scores[0] == scores[0, -1])
    assert len(missed) > 1
    assert (np.diff(positions[0, missed]) > 0).all()
