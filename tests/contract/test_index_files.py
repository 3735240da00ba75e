"""Contract of all indexes: saving to a folder and loading."""

import json
import shutil

import numpy as np
import pytest

from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from tests.contract.index_cases import (
    clustered,
    every_index,
    vectors,
)


@every_index
def test_a_saved_index_returns_identical_results(index, tmp_path):
    queries, gallery = clustered(30, seed=1), clustered(300, seed=2)
    built = index.build(gallery)
    before = built.search(queries, 20)
    index.save(built, tmp_path / "index", build_seconds=1.5)
    loaded, seconds = index.load(tmp_path / "index")
    assert seconds == 1.5
    index.save(loaded, tmp_path / "again", build_seconds=1.5)  # a loaded index can be saved too
    shutil.rmtree(tmp_path / "index")
    for searcher in (built, loaded, index.load(tmp_path / "again")[0]):
        after = searcher.search(queries, 20)
        assert np.array_equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])
        assert searcher.nbytes == built.nbytes


@every_index
def test_damaged_files_are_rejected(index, tmp_path):
    folder = tmp_path / "index"
    index.save(index.build(vectors(40)), folder, build_seconds=1.0)
    for path in sorted(folder.iterdir()):
        sound = path.read_bytes()
        flipped = bytearray(sound)
        flipped[len(sound) // 2] ^= 1
        truncated = [sound[: len(sound) * part // 8] for part in range(8)]
        garbage = np.random.default_rng(0).bytes(1000)
        for content in (*truncated, sound[:-2], sound + b"\0", bytes(flipped), garbage, b"[]"):
            path.write_bytes(content)
            with pytest.raises((ValueError, KeyError)):
                index.load(folder)
        path.unlink()
        with pytest.raises((ValueError, OSError)):
            index.load(folder)
        path.write_bytes(sound)
    (folder / "foreign").write_bytes(b"")
    with pytest.raises(ValueError, match="damaged"):
        index.load(folder)


@every_index
def test_another_index_is_rejected(index, tmp_path):
    other = Exact(metric=Metric.euclidean if index.metric is Metric.cosine else Metric.cosine)
    other.save(other.build(vectors(40)), tmp_path / "index", build_seconds=1.0)
    with pytest.raises(ValueError, match=f"not .*{type(index).__name__}"):
        index.load(tmp_path / "index")


def test_the_metadata_of_an_index_is_readable(tmp_path):
    index = Exact()
    index.save(index.build(vectors(4)), tmp_path / "index", build_seconds=0.25)
    facts = json.loads((tmp_path / "index" / "index.json").read_text())
    assert facts["index"] == "Exact"
    assert facts["metric"] == "cosine"
    assert facts["build_seconds"] == 0.25
    assert list(facts["files"]) == ["vectors.npy"]
