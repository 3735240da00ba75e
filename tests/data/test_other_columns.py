"""Columns of a manifest that describe the images: types, and their way into the parts."""

import numpy as np
import pandas as pd
import pytest

from outliers_bench.data.tables.other_columns import other_columns
from tests.data.sources import load, manifest


def test_types_of_parquet_and_pandas_become_those_of_numpy(tmp_path):
    frame = pd.DataFrame(
        {
            "path": ["p", "q"],
            "label": ["a", "b"],
            "camera": ["north", None],
            "site": pd.Categorical(["x", "y"]),
            "count": [1, 2],
            "age": pd.array([3, None], dtype="Int64"),
            "weight": pd.array([3.5, None], dtype="Float32"),
            "is_night": [True, False],
            "time": pd.to_datetime(["2024-05-01T12:00", None]),
            "utc": pd.to_datetime(["2024-05-01T12:00+02:00"] * 2),
            "box": [[0, 0, 5, 5], [1, 2, 3, 4]],
            "outline": [[np.array([1.5, 2]), np.array([3.0])], []],
            "hash": np.array([2**64 - 1, 1], np.uint64),
            "end": pd.to_datetime(["9999-12-31", None]).as_unit("us"),
        }
    )
    file = tmp_path / "table.parquet"
    frame.to_parquet(file)
    noon = np.datetime64("2024-05-01T12:00", "ns")
    expected = {
        "camera": ["north", ""],
        "site": ["x", "y"],
        "count": np.array([1, 2]),
        "age": np.array([3, np.nan]),
        "weight": np.array([3.5, np.nan]),
        "is_night": np.array([True, False]),
        "time": np.array([noon, np.datetime64("NaT", "ns")]),
        "utc": np.array([noon - np.timedelta64(2, "h")] * 2),
        "box": [(0, 0, 5, 5), (1, 2, 3, 4)],
        "outline": [([1.5, 2.0], [3.0]), ()],
        "hash": [2**64 - 1, 1],
        "end": np.array(["9999-12-31", "NaT"], "M8[us]"),
    }
    for table in (frame, pd.read_parquet(file, dtype_backend="pyarrow")):
        columns = other_columns(table)
        assert list(columns) == list(expected)
        for name, values in expected.items():
            if isinstance(values, list):
                assert columns[name].dtype == np.object_, name
                assert columns[name].tolist() == values, name
            else:
                np.testing.assert_array_equal(columns[name], values, name)
                assert columns[name].dtype == values.dtype, name


@pytest.mark.parametrize("parts", [None, ["train", "train", "query", "gallery", "gallery"] * 6])
def test_columns_follow_their_images_into_the_parts(table, photos, tmp_path, parts):
    table["number"] = np.arange(30)
    table["photographer"] = table["path"].str.upper()
    table["group"] = table["path"].str[:-5]
    if parts is not None:
        table["split"], table["group"] = parts, None
    (photos / table["path"][4]).write_bytes(b"")  # unreadable
    first = (photos / table["path"][0]).read_bytes()
    (photos / table["path"][1]).write_bytes(first)  # a duplicate
    split = load(manifest(table, photos, ".parquet", max_unreadable=0.1), tmp_path)
    rows = []
    for part in (split.train, split.query, split.gallery):
        numbers = part.columns["number"]
        assert part.columns["photographer"].tolist() == [name.upper() for name in part.names]
        assert table["path"][numbers].tolist() == list(part.names)
        assert numbers.dtype == np.int64
        assert ("group" in part.columns) == (parts is None)
        rows += numbers.tolist()
    assert len(rows) == 28
    assert len(set(rows)) == len(rows)
