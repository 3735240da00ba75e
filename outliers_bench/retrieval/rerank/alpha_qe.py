"""Alpha query expansion: search again with the query moved toward its first hits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from outliers_bench.retrieval.neighbors import similarity_weights
from outliers_bench.retrieval.rerank.shortlist import (
    CosineRerank,
    compute_in_blocks,
    rescore_by_cosine,
    rows_by_value,
)
from outliers_bench.retrieval.ties import PAIR_VALUES
from outliers_bench.types import Exclusion, FloatArray, IntArray, RankedBlocks

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import VectorSearch


@dataclass
class AlphaQueryExpansion(CosineRerank):
    """`rerank=alpha_qe`: search again by q + sum of max(s_i, 0)^alpha g_i over the first hits.

    Parameters
    ----------
    n : int
        Number of hits added to the query.
    alpha : float
        Exponent of the similarity, the weight of a hit; 0 is average query expansion (Chum et al.
        2007).

    References
    ----------
    F. Radenović, G. Tolias, O. Chum, "Fine-tuning CNN image retrieval with no human annotation",
    TPAMI 2018.
    O. Chum et al., "Total recall: automatic query expansion with a generative feature model for
    object retrieval", ICCV 2007.
    """

    name: str = "alpha_qe"
    n: int = 10
    alpha: float = 3.0

    needs_graph: ClassVar[bool] = False

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        self.check_at_least(1, "n")
        self.check_at_least(0, "alpha")

    def rank_blocks(
        self,
        search: VectorSearch,
        queries: FloatArray,
        depth: int,
        *,
        exclusion: Exclusion,
        full: bool = False,
    ) -> RankedBlocks:
        """Rank the gallery for every expanded query; see `Rerank.rank_blocks`."""
        for hits, of_hits in rows_by_value(np.minimum(self.n, exclusion.available)):

            def expand(rows: IntArray, hits: int = hits) -> FloatArray:
                first = search.rank(queries[rows], hits, exclusion=exclusion.take(rows))
                with search.meter.stage("search"), search.meter.stage("rerank"):
                    block = search.prepare(queries[rows])
                    first, similarities = rescore_by_cosine(search, block, first, hits)
                    weights = similarity_weights(similarities, self.alpha).astype(np.float32)
                    return block + weighted_sums(search.gallery, first.indices, weights)

            for rows, expanded in compute_in_blocks(expand, of_hits, deep=max(depth, hits)):
                of_block = exclusion.take(rows)
                blocks = search.rank_blocks(expanded, depth, exclusion=of_block, full=full)
                for part, ranking in blocks:
                    yield rows[part], ranking


def weighted_sums(gallery: FloatArray, positions: IntArray, weights: FloatArray) -> FloatArray:
    """Compute weighted sums, shape (b, d), of gallery vectors at positions of shape (b, k)."""
    sums = np.empty((len(positions), gallery.shape[1]), dtype=np.float32)
    size = max(1, PAIR_VALUES // max(1, positions.shape[1] * gallery.shape[1]))
    for start in range(0, len(positions), size):
        rows = slice(start, start + size)
        sums[rows] = np.einsum("bkd,bk->bd", gallery[positions[rows]], weights[rows])
    return sums
