"""Options of indexes: what is refused, what is made to fit, and what the command line composes."""

import importlib.util
import logging
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
def test_files_say_what_the_defaults_are(name):
    assert asdict(configured(f"index={name}")) == asdict(SCHEMAS["index"][name](name=name))


@needs_annoy
def test_the_runs_seed_decides_annoys_trees():
    assert configured("index=annoy", "seed=3") == Annoy(random_seed=3)
    assert configured("index=annoy", "seed=3").label == "annoy"


def test_labels_tell_what_is_unusual():
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
def test_options_that_cannot_work_are_refused(index, message):
    with pytest.raises(BenchError, match=message) as refused:
        index.check()
    assert "\n" not in str(refused.value)


def test_without_annoy_it_is_told_how_to_get_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BenchError, match=r"python -m pip install 'annoy>=[\d.]+'"):
        configured("index=annoy")


def test_more_bits_are_nearer_the_truth():
    gallery = vectors(2**10 + 5)
    options = {"nlist": 4, "nprobe": 4, "subquantizers": 12, "metric": Metric.euclidean}
    one, four, ten = (
        -FaissIvfPq(**options, nbits=bits).build(gallery).search(gallery[:50], 1)[1].mean()
        for bits in (1, 4, 10)
    )
    assert one > 1
    assert 0.01 < four < 0.2
    assert ten == pytest.approx(0, abs=1e-4), "every number has its own code"


@pytest.mark.parametrize("metric", Metric)
def test_a_subquantizers_that_does_not_divide_the_dimensions(metric):
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


def test_a_gallery_too_small_for_its_codes_is_told(caplog):
    index = FaissIvfPq(nlist=100, subquantizers=4)
    with caplog.at_level(logging.WARNING):
        index.build(vectors(40))
    assert [record.getMessage() for record in caplog.records] == [
        "index.nlist=100 is too large for a gallery of 40; using 40",
        "index.nbits=8 is too large for a gallery of 40; using 5",
    ]


def test_lists_by_the_size_of_the_gallery(caplog):
    def nlist(n):
        return FaissIvfPq()._affordable(n)[0]

    assert [lists(n) for n in (1, 300, 1455, 40_000, 250_000)] == [1, 7, 37, 800, 2000]


def test_faiss_writes_no_warnings(capfd):
    FaissIvfPq(subquantizers=4).build(vectors(300))
    assert capfd.readouterr() == ("", "")


def test_building_leaves_the_threads_alone():
    before = faiss.omp_get_max_threads()
    FaissHnsw().build(vectors(50))
    assert faiss.omp_get_max_threads() == before


def test_building_takes_the_threads_it_is_told(monkeypatch):
    seen = []
    add = faiss.IndexHNSWFlat.add

    def watched(self, gallery):
        seen.append(faiss.omp_get_max_threads())
        add(self, gallery)

    monkeypatch.setattr(faiss.IndexHNSWFlat, "add", watched)
    for threads in (1, 2):
        FaissHnsw(build_threads=threads).build(vectors(50))
    assert seen == [1, 2]


def test_dimensions_that_do_not_vary_are_no_matter_to_a_byte():
    gallery = vectors(50)
    gallery[:, 3] = 7
    searcher = FaissSq8(metric=Metric.euclidean).build(gallery)
    positions, scores = searcher.search(gallery[:9], 1)
    assert positions[:, 0].tolist() == list(range(9))
    assert np.allclose(scores, 0, atol=0.01)


def test_what_was_not_found_follows_by_position_below_the_found():
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
    assert np.isfinite(finite).all(), "even below the lowest of all numbers"
    assert positions[0, 2] == -1, "what came in is as it was"


def test_more_probes_find_more():
    gallery = vectors(400)
    found = [
        FaissIvfPq(metric=Metric.euclidean, subquantizers=12, nlist=10, nprobe=probes)
        .build(gallery)
        .search(vectors(30, seed=1), 100)[1]
        for probes in (1, 10)
    ]
    assert (np.diff(found[0], axis=1) == 0).any(), "what a list does not hold has equal scores"
    assert found[1].sum() > found[0].sum()


@needs_annoy
def test_annoys_trees_are_those_of_the_seed():
    gallery, queries = vectors(400), vectors(30, seed=1)
    one, same, other = (
        Annoy(n_trees=1, search_k=1, random_seed=seed).build(gallery).search(queries, 5)[0]
        for seed in (4, 4, 5)
    )
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_a_graph_in_islands_still_ranks_everything():
    # Duplicates are linked to each other only, and a walk does not leave them.
    gallery = np.repeat(vectors(10), 60, axis=0)
    positions, scores = FaissHnsw(m=4, ef_search=10).build(gallery).search(vectors(1, seed=1), 600)
    assert sorted(positions[0].tolist()) == list(range(600))
    assert np.isfinite(scores).all()
    assert (np.diff(scores[0]) <= 0).all()
    missed = np.flatnonzero(scores[0] == scores[0, -1])
    assert len(missed) > 1
    assert (np.diff(positions[0, missed]) > 0).all()
