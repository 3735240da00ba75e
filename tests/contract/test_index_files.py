"""Contract of all cached indexes: writing to a folder and reading."""

import shutil

import numpy as np
import pytest

from tests.contract.index_cases import CACHED, clustered


@pytest.mark.parametrize("index", CACHED)
def test_a_written_index_returns_identical_results(index, tmp_path):
    queries, gallery = clustered(30, seed=1), clustered(300, seed=2)
    built = index.build(gallery)
    before = built.search(queries, 20)
    for name in ("index", "again"):
        (tmp_path / name).mkdir()
    built.write(tmp_path / "index")
    read = index.read(tmp_path / "index")
    read.write(tmp_path / "again")  # an index that was read can be written too
    shutil.rmtree(tmp_path / "index")
    for searcher in (built, read, index.read(tmp_path / "again")):
        after = searcher.search(queries, 20)
        assert np.array_equal(before[0], after[0])
        assert np.array_equal(before[1], after[1])
        assert searcher.nbytes == built.nbytes
