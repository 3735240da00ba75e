"""Re-ranking by keypoints: inliers within the shortlist, original order elsewhere."""

import numpy as np
import pytest

from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.types import Ranking
from tests.keypoints.rank_helpers import (
    NONE,
    photo,
    rank_images,
    rerank_images,
    varied_images,
    view,
)


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture
def many(rng):
    """Queries and a gallery."""
    return varied_images(rng)


def ranking_of(scores):
    """Create a ranking of images 0, 1, 2, ... with the given scores."""
    scores = np.array([scores], dtype=np.float32)
    return Ranking(np.arange(scores.shape[1])[None], scores)


def test_rerank_sorts_the_shortlist_by_inliers(rng):
    query = photo(rng)
    rights = (0, 8, 0, 12, 0, 20)
    gallery = [view(rng, query, 20, right=right) for right in rights]
    ranking = ranking_of([0.9, 0.8, 0.7, 0.6, 0.5, 0.4])
    result = rerank_images(ranking, [query], gallery, MatchOptions(shortlist=5))
    assert result.indices[0].tolist() == [
        3,
        1,
        0,
        2,
        4,
        5,
    ]  # the one with 20 inliers is not in the shortlist
    mapped = np.arctan([0.6, 0.8, 0.9, 0.7, 0.5, 0.4]) / np.pi + 0.5
    assert np.allclose(result.scores[0] - mapped, [12, 8, 0, 0, 0, 0], atol=1e-5)
    unlimited = rerank_images(ranking, [query], gallery, MatchOptions(shortlist=None))
    assert unlimited.indices[0].tolist() == [5, 3, 1, 0, 2, 4]


@pytest.mark.parametrize(
    "scores",
    [
        [3e38, 1e10, 1e9, 5, 5, 5, -1e-30, -7],
        [-1e9, -1e9 - 64, -2e9, -3e9, -3e38, -3e38, -3.1e38, -3.1e38],
        [3e38, 3e38, 1e-3, 1e-3, 0, -0.0, -1, -2],
        np.linspace(0.30001, 0.3, 8),
    ],
)
def test_rerank_without_inliers_preserves_the_order(rng, scores):
    query = photo(rng)
    gallery = [photo(rng) for _ in range(7)] + [NONE]
    ranking = ranking_of(scores)
    for shortlist in (1, 4, None):
        result = rerank_images(ranking, [query], gallery, MatchOptions(shortlist=shortlist))
        assert np.array_equal(result.indices, ranking.indices)
        assert (result.scores >= 0).all()
        assert (result.scores < 1).all()


def test_rerank_of_rows_in_any_order(many):
    queries, gallery = many
    rng = np.random.default_rng(3)
    indices = np.array([rng.permutation(len(gallery))[:12] for _ in queries])
    ranking = Ranking(indices, np.tile(np.linspace(1, 0, 12, dtype=np.float32), (4, 1)))
    result = rerank_images(ranking, queries, gallery, MatchOptions(shortlist=6))
    full_ranking = rank_images(queries, gallery, MatchOptions(shortlist=None))
    for row in range(4):
        full = dict(zip(full_ranking.indices[row], np.floor(full_ranking.scores[row]), strict=True))
        first = sorted(indices[row, :6], key=lambda image: -full[image])
        assert result.indices[row].tolist() == [*first, *indices[row, 6:]]
