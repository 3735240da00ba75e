"""Rankings of images without content."""

from __future__ import annotations

import numpy as np

from outliers_bench.types import BoolArray, Exclusion, IntArray, Ranking


def put_blanks_last(
    ranking: Ranking,
    blank_queries: BoolArray,
    blank_gallery: BoolArray,
    order: IntArray,
    *,
    exclusion: Exclusion,
) -> Ranking:
    """Rank blank gallery images last, and give blank queries the tie-breaking order.

    The distance to a vector of zeros is a convention, and after a PCA it is arbitrary.

    Parameters
    ----------
    ranking : Ranking
    blank_queries : array of bool, shape (n_query,)
        Queries without content: their ranking becomes `order`, with scores of 0.
    blank_gallery : array of bool, shape (n,)
        Gallery images without content: they follow all others of the ranking, with a score of 0,
        or with that of the last item before them if it is below 0.
    order : array of int64, shape (n,)
        Permutation of the gallery that breaks ties.
    exclusion : Exclusion
    """
    is_ranked = ranking.indices >= 0
    blank = blank_gallery[ranking.indices] & is_ranked
    moved = np.argsort(np.where(is_ranked, blank, 2).astype(np.uint8), axis=1, kind="stable")
    indices = np.take_along_axis(ranking.indices, moved, axis=1)
    scores = np.take_along_axis(ranking.scores, moved, axis=1)
    blank = np.take_along_axis(blank, moved, axis=1)
    others = np.where(blank | (indices < 0), np.float32(np.inf), scores)
    lowest = others.min(axis=1, initial=0.0)
    scores = np.where(blank, lowest[:, None], scores).astype(np.float32)
    for row in np.flatnonzero(blank_queries):
        excluded = exclusion.mask(np.array([row]), order[None])[0]
        left = order[~excluded][: ranking.depth]
        indices[row], scores[row] = -1, -np.inf
        indices[row, : len(left)], scores[row, : len(left)] = left, 0
    return Ranking(indices, scores)
