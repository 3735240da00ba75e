"""What has nothing to compare comes last, and finds nothing by itself."""

import numpy as np

from outliers_bench.retrieval.search import put_blanks_last
from outliers_bench.types import Ranking


def test_blanks_come_last_with_no_score():
    ranking = Ranking(
        np.array([[2, 0, 1, 3], [1, 3, 0, 2]]),
        np.array([[0.9, 0.5, 0.0, -0.2], [0.4, 0.3, 0.2, 0.1]], dtype=np.float32),
    )
    found = put_blanks_last(
        ranking,
        blank_queries=np.array([False, False]),
        blank_gallery=np.array([True, False, True, False]),
        order=np.arange(4),
    )
    assert found.indices.tolist() == [[1, 3, 2, 0], [1, 3, 0, 2]]
    expected = [[0.0, -0.2, -0.2, -0.2], [0.4, 0.3, 0, 0]]
    assert np.allclose(found.scores, expected)


def test_a_blank_query_gets_the_order_of_ties():
    ranking = Ranking(np.array([[2, 0, 1]]), np.array([[0.9, 0.5, 0.1]], dtype=np.float32))
    nothing = np.zeros(3, dtype=bool)
    found = put_blanks_last(ranking, np.array([True]), nothing, order=np.array([1, 0, 2]))
    assert found.indices.tolist() == [[1, 0, 2]]
    assert found.scores.tolist() == [[0, 0, 0]]


def test_a_blank_query_that_is_left_out_is_not_among_its_own_hits():
    ranking = Ranking(np.array([[1, 2], [0, 2], [0, 1]]), np.zeros((3, 2), dtype=np.float32))
    blank = np.array([False, True, False])
    found = put_blanks_last(ranking, blank, blank, order=np.array([1, 2, 0]), leave_one_out=True)
    assert found.indices.tolist() == [[2, 1], [2, 0], [0, 1]]
