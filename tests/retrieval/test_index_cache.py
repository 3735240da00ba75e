"""Cache of indexes: built once for the same vectors and options."""

import json
import logging

import numpy as np
import pytest

from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.faiss_index import FaissSearcher
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.runtime.meter import Meter
from tests.counting import count_calls
from tests.toys import exclude_nothing

RNG = np.random.default_rng(0)
GALLERY = RNG.normal(size=(80, 8)).astype(np.float32)
QUERIES = RNG.normal(size=(5, 8)).astype(np.float32)


@pytest.fixture
def builds(monkeypatch):
    """Indexes that are built."""
    return count_calls(monkeypatch, FaissHnsw, "build")


def rank(cache, gallery=GALLERY, *, index=None, meter=None):
    index = index or FaissHnsw()
    order = np.arange(len(gallery))
    search = VectorSearch(gallery, index=index, order=order, cache=cache, meter=meter)
    return search.rank(QUERIES, 10, exclusion=exclude_nothing(QUERIES, gallery))


def folders(cache):
    return list((cache / "indexes").iterdir())


def test_the_second_run_reads_the_index_and_its_build_time(tmp_path, builds):
    first, second = Meter(), Meter()
    built, read = (rank(tmp_path, meter=meter) for meter in (first, second))
    assert len(builds) == 1
    assert np.array_equal(built.indices, read.indices)
    assert np.array_equal(built.scores, read.scores)
    assert first.index_build_seconds == second.index_build_seconds > 0
    assert first.index_bytes == second.index_bytes > GALLERY.nbytes
    assert second.seconds["index"] > 0


def test_search_options_do_not_need_another_build(tmp_path, builds):
    rank(tmp_path)
    rank(tmp_path, index=FaissHnsw(ef_search=7))
    assert len(builds) == len(folders(tmp_path)) == 1


def test_search_options_apply_to_a_loaded_index(tmp_path):
    FaissHnsw(ef_search=99).build(GALLERY).write(tmp_path)
    searcher = FaissHnsw(ef_search=7).read(tmp_path)
    assert searcher._index.hnsw.efSearch == 7


@pytest.mark.parametrize(
    ("index", "gallery"),
    [
        (FaissHnsw(m=5), GALLERY),
        (FaissHnsw(metric=Metric.euclidean), GALLERY),
        (FaissHnsw(ef_construction=9), GALLERY),
        (FaissHnsw(), GALLERY[::-1]),
    ],
    ids=["m", "metric", "ef_construction", "vectors"],
)
def test_other_options_and_vectors_need_another_build(tmp_path, builds, index, gallery):
    rank(tmp_path)
    rank(tmp_path, gallery, index=index)
    assert len(builds) == len(folders(tmp_path)) == 2


def test_another_version_of_the_library_needs_another_build(tmp_path, builds, monkeypatch):
    rank(tmp_path)
    monkeypatch.setattr("faiss.__version__", "0.0")
    rank(tmp_path)
    assert len(builds) == 2


@pytest.mark.parametrize(
    "damage", [lambda b: b[: len(b) // 2], lambda b: b"x" * 500, lambda b: b""]
)
@pytest.mark.parametrize("file", ["index.faiss", "index.json"])
def test_a_damaged_file_is_rebuilt(tmp_path, builds, damage, file, caplog):
    expected = rank(tmp_path)
    (folder,) = folders(tmp_path)
    path = folder / file
    path.write_bytes(damage(path.read_bytes()))
    meter = Meter()
    assert np.array_equal(rank(tmp_path, meter=meter).scores, expected.scores)
    assert len(builds) == 2
    (record,) = caplog.records
    assert "is damaged; it is made again" in record.getMessage()
    rank(tmp_path)
    assert len(builds) == 2, "and cached again"
    metadata = json.loads((folder / "index.json").read_text())
    assert metadata["build_seconds"] == meter.index_build_seconds


def test_saving_is_not_part_of_the_build_time(tmp_path, monkeypatch):
    meter, before = Meter(), []
    write = FaissSearcher.write

    def recording_write(self, folder):
        before.append(meter.seconds["index"])
        write(self, folder)

    monkeypatch.setattr(FaissSearcher, "write", recording_write)
    rank(tmp_path, meter=meter)
    assert before == [meter.seconds["index"]]
    assert 0 < meter.index_build_seconds <= meter.seconds["index"]


def test_an_interrupted_save_leaves_no_file(tmp_path, monkeypatch):
    def broken(self, folder):
        (folder / "index.faiss").write_bytes(b"half")
        raise KeyboardInterrupt

    monkeypatch.setattr(FaissSearcher, "write", broken)
    with pytest.raises(KeyboardInterrupt):
        rank(tmp_path)
    assert not folders(tmp_path)


def test_a_full_disk_is_only_a_warning(tmp_path, monkeypatch, caplog):
    def full(self, folder):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(FaissSearcher, "write", full)
    with caplog.at_level(logging.WARNING):
        assert rank(tmp_path).indices.shape == (5, 10)
    assert "No space left on device" in caplog.text


def test_exact_indexes_are_not_cached(tmp_path):
    rank(tmp_path, index=Exact())
    assert not (tmp_path / "indexes").exists()


def test_without_a_cache_directory_nothing_is_cached(builds):
    rank(None)
    rank(None)
    assert len(builds) == 2
