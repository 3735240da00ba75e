"""Exact k-nearest-neighbor graph of a gallery, cached on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.retrieval.ties import drop_excluded, pair_similarities, sorted_with_ties
from outliers_bench.runtime.progress import track
from outliers_bench.store.files import digest_of, read_arrays, write_arrays
from outliers_bench.store.memo import load_or_make
from outliers_bench.types import Exclusion, FloatArray, IntArray
from outliers_bench.version import __version__

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import VectorSearch

BLOCK_ROWS = 1024  # gallery items searched per block
_EXTRA = 8  # results fetched beyond k, because rounding in BLAS may swap neighbors
_ROUNDING = 2e-6  # maximum difference of two equal pairs of unit vectors in BLAS


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """k nearest neighbors of every gallery item, the item itself excluded by identity.

    Parameters
    ----------
    positions : array of int64, shape (n, k)
        Gallery positions, nearest first; k is at most n - 1.
    similarities : array of float32, shape (n, k)
        Their cosines, in descending order along a row.
    """

    positions: IntArray
    similarities: FloatArray

    def nearest(
        self, items: IntArray, k: int, *, exclusion: Exclusion
    ) -> tuple[IntArray, FloatArray]:
        """Return the k nearest neighbors of some items, shape (m,), without excluded ones.

        The exclusion is that of one query, or of one query for each item. It requires a graph of
        at least k + `exclusion.largest` neighbors, if the gallery has that many.

        Returns
        -------
        positions : array of int64, shape (m, at most k)
        similarities : array of float32, shape (m, at most k)
        """
        if not exclusion.largest:
            return self.positions[items, :k], self.similarities[items, :k]
        positions = self.positions[items, : k + exclusion.largest]
        similarities = self.similarities[items, : k + exclusion.largest]
        excluded = exclusion.mask(slice(None), positions)
        depth = min(k, positions.shape[1] - exclusion.largest)
        return drop_excluded(positions, similarities, excluded, depth)


def build_or_load_graph(search: VectorSearch, k: int) -> NeighborGraph:
    """Find the k nearest neighbors of every gallery item by exhaustive search, for every index.

    The order of the search breaks ties. If the gallery has fewer than k other items, they are all
    neighbors. With `search.cache`, the graph of the same gallery is stored and read.
    """
    k = min(k, len(search.gallery) - 1)
    with search.meter.stage("graph"):
        if search.cache is None:
            return _build_graph(search, k)
        key = {"neighbors": k, "version": __version__}
        name = digest_of(key, search.gallery, search.order)
        path = search.cache / "graphs" / f"neighbors-{name}.npz"
        return load_or_make(
            path,
            read=lambda path: _read(path, (len(search.gallery), k)),
            make=lambda: _build_graph(search, k),
            write=_write,
        )


def _build_graph(search: VectorSearch, k: int) -> NeighborGraph:
    gallery, order, n = search.gallery, search.order, len(search.gallery)
    positions, similarities = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    exhaustive, itself = search.exhaustive(), Exclusion.itself(n)
    fetch = min(k + _EXTRA, n - 1)
    starts = range(0, n, BLOCK_ROWS)
    for start in track(starts, stage="graph", total=len(starts), unit="blocks"):
        rows = np.arange(start, min(start + BLOCK_ROWS, n))
        near = exhaustive.rank(gallery[rows], fetch, exclusion=itself.take(rows)).indices
        scores = pair_similarities(gallery[rows], gallery, near)
        near, scores = sorted_with_ties(near, scores, order)
        positions[rows], similarities[rows] = near[:, :k], scores[:, :k]
        if 0 < k < fetch < n - 1:
            tied = rows[scores[:, k - 1] <= scores[:, -1] + _ROUNDING]
            # Items that were not fetched may be nearer.
            for same, every in _compare_with_all(gallery, tied, exhaustive.tie_ordered):
                best = np.argsort(-every, kind="stable")[: k + 1]
                nearest = np.tile(order[best], (len(same), 1)), np.tile(every[best], (len(same), 1))
                own = nearest[0] == same[:, None]
                positions[same], similarities[same] = drop_excluded(*nearest, own, k)
    return NeighborGraph(positions, similarities)


def _compare_with_all(
    gallery: FloatArray, items: IntArray, tie_ordered: FloatArray
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Yield items of equal vectors, which blank images have, and their cosines with all others."""
    distinct, inverse = np.unique(gallery[items], axis=0, return_inverse=True)
    for number, vector in enumerate(distinct):
        cosines = np.einsum("qkd,qd->qk", tie_ordered[None], vector[None])[0]
        yield items[inverse.ravel() == number], cosines


def _read(path: Path, shape: tuple[int, int]) -> NeighborGraph | None:
    arrays = read_arrays(path)
    positions, similarities = arrays["positions"], arrays["similarities"]
    is_valid = positions.shape == similarities.shape == shape
    return NeighborGraph(positions.astype(np.int64), similarities) if is_valid else None


def _write(graph: NeighborGraph, path: Path) -> None:
    positions = graph.positions.astype(np.int32)
    write_arrays(path, positions=positions, similarities=graph.similarities)


def similarity_weights(similarities: FloatArray, exponent: float) -> npt.NDArray[np.float64]:
    """Raise cosines to a power, as weights; they are clipped to [0, 1], as rounding exceeds 1."""
    return np.clip(similarities, 0, 1).astype(np.float64) ** exponent
