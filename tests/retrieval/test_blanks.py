"""Blank images rank last, and blank queries have the tie-breaking order."""

import numpy as np

from outliers_bench.retrieval.blanks import put_blanks_last
from outliers_bench.types import Exclusion, Ranking


def test_blanks_rank_last_with_a_score_of_0():
    ranking = Ranking(
        np.array([[2, 0, 1, 3], [1, 3, 0, 2]]),
        np.array([[0.9, 0.5, 0.0, -0.2], [0.4, 0.3, 0.2, 0.1]], dtype=np.float32),
    )
    result = put_blanks_last(
        ranking,
        blank_queries=np.array([False, False]),
        blank_gallery=np.array([True, False, True, False]),
        order=np.arange(4),
        exclusion=Exclusion.nothing(2, 4),
    )
    assert result.indices.tolist() == [[1, 3, 2, 0], [1, 3, 0, 2]]
    expected = [[0.0, -0.2, -0.2, -0.2], [0.4, 0.3, 0, 0]]
    assert np.allclose(result.scores, expected)


def test_a_blank_query_has_the_tie_breaking_order():
    ranking = Ranking(np.array([[2, 0, 1]]), np.array([[0.9, 0.5, 0.1]], dtype=np.float32))
    no_blanks = np.zeros(3, dtype=bool)
    result = put_blanks_last(
        *(ranking, np.array([True]), no_blanks),
        order=np.array([1, 0, 2]),
        exclusion=Exclusion.nothing(1, 3),
    )
    assert result.indices.tolist() == [[1, 0, 2]]
    assert result.scores.tolist() == [[0, 0, 0]]


def test_leave_one_out_excludes_a_blank_query():
    ranking = Ranking(np.array([[1, 2], [0, 2], [0, 1]]), np.zeros((3, 2), dtype=np.float32))
    blank = np.array([False, True, False])
    itself = Exclusion.itself(3)
    result = put_blanks_last(ranking, blank, blank, order=np.array([1, 2, 0]), exclusion=itself)
    assert result.indices.tolist() == [[2, 1], [2, 0], [0, 1]]
