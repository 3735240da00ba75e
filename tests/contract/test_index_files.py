"""Contract of all indexes: saving and loading."""

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
    built.save(tmp_path / "index")
    loaded = index.load(tmp_path / "index")
    loaded.save(tmp_path / "again")  # a loaded index can be saved too
    (tmp_path / "index").unlink()
    for searcher in (built, loaded, index.load(tmp_path / "again")):
        after = searcher.search(queries, 20)
        assert np.array_equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])
        assert searcher.nbytes == built.nbytes


@every_index
def test_damaged_and_mismatched_files_are_rejected(index, tmp_path):
    path = tmp_path / "index"
    index.build(vectors(40)).save(path)
    sound = path.read_bytes()
    flipped = bytearray(sound)
    flipped[len(sound) // 2] ^= 1
    truncated = [sound[: len(sound) * part // 8] for part in range(8)]
    garbage = np.random.default_rng(0).bytes(1000)
    for content in (*truncated, sound[:-1], sound + b"\0", bytes(flipped), garbage):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="damaged"):
            index.load(path)
    other = Exact(metric=Metric.euclidean if index.metric is Metric.cosine else Metric.cosine)
    other.build(vectors(40)).save(path)
    with pytest.raises(ValueError, match=f"not .*{type(index).__name__}"):
        index.load(path)
