"""`Evaluation.frame`: scores as a table."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd

from outliers_bench.evaluation import confidence_intervals, evaluate
from outliers_bench.types import Ranking
from tests.toys import toy_split


def evaluation():
    # Query 0 finds its class first, query 1 second, and query 2 has nothing to find.
    split = toy_split(query=[0, 1, 2], gallery=[0, 1, 3])
    indices = np.array([[0, 1, 2], [0, 1, 2], [0, 1, 2]])
    ranking = Ranking(indices, np.tile(np.float32([3, 2, 1]), (3, 1)))
    return evaluate(ranking, split, k=[1, 2])


def test_a_row_per_metric_with_its_interval():
    plain = evaluation().frame()
    assert plain.index.tolist()[:2] == ["hit_at_1", "hit_at_2"]
    assert plain.loc["hit_at_1", "value"] == 0.5
    assert plain.loc["mrr", "value"] == 0.75
    assert math.isnan(plain.loc["mrr", "low"])
    scored = evaluation()
    intervals = confidence_intervals(scored.per_query, seed=0)
    frame = replace(scored, intervals=intervals).frame()
    assert tuple(frame.loc["hit_at_1", ["low", "high"]]) == intervals["hit_at_1"]
    pd.testing.assert_series_equal(frame["value"], plain["value"])


def test_rows_per_class_and_per_query():
    by_class = evaluation().frame("class")
    assert by_class["queries"].tolist() == [1, 1]
    assert by_class["hit_at_1"].tolist() == [1, 0]
    by_query = evaluation().frame("query")
    assert by_query.index.tolist() == [0, 1]
    assert by_query["mrr"].tolist() == [1, 0.5]
