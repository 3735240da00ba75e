"""Restricted unpickling of NumPy arrays."""

import gzip
import pickle
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.data.silhouettes import read_array
from outliers_bench.errors import BenchError


class Malicious:
    def __reduce__(self):
        return (Path.touch, (Path("pwned"),))


@pytest.mark.parametrize(
    "content",
    [
        Malicious(),
        [np.zeros(3), Malicious()],
        np.array([{}, "objects"], dtype=object),
        {"not": "an array"},
        np.array(["text"]),
    ],
    ids=["code", "code in a list", "objects", "a dict", "text"],
)
def test_pickles_other_than_numbers_are_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "data.gz"
    file.write_bytes(gzip.compress(pickle.dumps(content)))
    with pytest.raises(BenchError, match="is refused"):
        read_array(file)
    assert not (tmp_path / "pwned").exists()


def test_array_pickles_are_read(tmp_path):
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    for protocol in (3, 4):
        file = tmp_path / "data.gz"
        file.write_bytes(gzip.compress(pickle.dumps(array, protocol=protocol)))
        np.testing.assert_array_equal(read_array(file), array)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BenchError, match=r"refused|cannot be read"):
        read_array(file)
    with pytest.raises(BenchError, match="cannot be read"):
        read_array(tmp_path / "gone.gz")
