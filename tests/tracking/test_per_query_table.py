"""Columns of the images in the table of queries, as a file and in Python."""

import csv
from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd

from outliers_bench.api.result import Result
from outliers_bench.evaluation.statistics import add_statistics
from outliers_bench.tracking.artifacts import write_tables
from tests.results import make_config, make_result, make_split


def test_columns_of_the_queries_are_in_their_table(tmp_path):
    split = make_split()
    noon = np.datetime64("2024-05-01T12:00", "ns")
    columns = {
        "camera": np.array([f"N, {i}" for i in range(12)], dtype=object),
        "time": np.array([noon] * 11 + [np.datetime64("NaT")], dtype="M8[ns]"),
        "age": np.array([1.5] * 11 + [np.nan]),
        "box": np.array([(0, i) for i in range(12)] + [None], dtype=object)[:12],
        "days": np.array([(date(2024, 5, 1),)] * 12 + [None], dtype=object)[:12],
        "class": np.array(["adult"] * 12, dtype=object),
        "query_class": np.array(["x"] * 12, dtype=object),
    }
    split = replace(split, query=replace(split.query, columns=columns))
    result = make_result(split)
    scored = add_statistics(result.evaluation, split, cluster="age")
    result = replace(result, evaluation=scored)
    write_tables(result, tmp_path)
    with (tmp_path / "per_query.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[0]["days"] == '["2024-05-01"]'
    assert list(rows[0])[-7:] == [
        "camera",
        "time",
        "age",
        "box",
        "days",
        "query_class",
        "query_query_class",
    ]
    assert [row["class"] for row in rows[:2]] == ["ant", "bee"]
    first, last = rows[0], rows[-1]
    assert (first["camera"], first["time"], first["age"], first["box"]) == (
        *("N, 0", "2024-05-01 12:00:00", "1.5"),
        "[0, 0]",
    )
    assert (last["time"], last["age"]) == ("", "")
    assert (first["query_class"], first["query_query_class"]) == ("adult", "x")
    frame = Result(**vars(result), config=make_config("sqlite://")).frame("query")
    assert [row["cluster"] for row in rows] == ["1.5"] * 11 + [""]
    assert frame["cluster"].tolist() == ["1.5"] * 11 + [""]
    assert frame["name"].tolist() == [row["query"] for row in rows]
    assert frame["camera"].tolist() == [row["camera"] for row in rows]
    assert frame["time"][0] == pd.Timestamp(noon)
