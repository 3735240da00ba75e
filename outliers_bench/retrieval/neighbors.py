"""Who is near whom in a gallery: every vector's nearest others, found exactly, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.ties import drop_self, pair_similarities, sorted_with_ties
from outliers_bench.runtime.progress import track
from outliers_bench.store.files import digest_of, keep, read
from outliers_bench.types import FloatArray, IntArray
from outliers_bench.version import __version__

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import GallerySearch

BLOCK_ROWS = 1024  # gallery items whose neighbors are looked for at a time
_SPARE = 8  # fetched beyond what is wanted: what BLAS has rounded may change places
_ROUNDING = 2e-6  # by which BLAS may differ between two equal pairs of unit vectors


@dataclass(frozen=True, eq=False)
class NeighborGraph:
    """The nearest others of every gallery item, itself left out by identity.

    Parameters
    ----------
    positions : array of int64, shape (n, k)
        Gallery positions, nearest first; k is at most n - 1.
    similarities : array of float32, shape (n, k)
        Their cosines, never rising along a row.
    """

    positions: IntArray
    similarities: FloatArray

    def nearest(
        self, items: IntArray, k: int, *, without: IntArray | None = None
    ) -> tuple[IntArray, FloatArray]:
        """The nearest k of some items, as they are in a gallery that lacks one.

        Parameters
        ----------
        items : array of int64, shape (m,)
        k : int
        without : array of int64, shape (m,) or (1,), optional
            The item that the gallery is to lack. The graph must be made for k + 1 then.

        Returns
        -------
        positions : array of int64, shape (m, at most k)
        similarities : array of float32, shape (m, at most k)
        """
        if without is None:
            return self.positions[items, :k], self.similarities[items, :k]
        positions = self.positions[items, : k + 1]
        return drop_self(
            positions, self.similarities[items, : k + 1], positions == without[:, None]
        )


def build_or_load_graph(search: GallerySearch, k: int) -> NeighborGraph:
    """The k nearest of every gallery item, by exhaustive search whatever the index.

    Parameters
    ----------
    search : Search
        The gallery, normalized; its order settles ties. With a `cache`, the graph is read from
        there where the same gallery had one made before.
    k : int
        Fewer where the gallery has not as many others.

    Returns
    -------
    Neighbors
    """
    k = min(k, len(search.gallery) - 1)
    with search.meter.stage("graph"):
        if search.cache is None:
            return _found(search, k)
        said = {"neighbors": k, "version": __version__}
        name = digest_of(said, search.gallery, search.order)
        path = search.cache / "graphs" / f"neighbors-{name}.npz"
        graph = _read(path, (len(search.gallery), k))
        if graph is None:
            graph = _found(search, k)
            positions = graph.positions.astype(np.int32)
            keep(path, positions=positions, similarities=graph.similarities)
        return graph


def _found(search: GallerySearch, k: int) -> NeighborGraph:
    n = len(search.gallery)
    positions, similarities = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    for rows, near, scores in _searched(search, k + 1):
        own = near == np.arange(rows.start, rows.stop)[:, None]
        positions[rows], similarities[rows] = drop_self(near, scores, own)
    return NeighborGraph(positions, similarities)


def _searched(search: GallerySearch, k: int) -> Iterator[tuple[slice, IntArray, FloatArray]]:
    """The nearest k of every gallery item, itself among them, a block of items at a time."""
    gallery, order, n = search.gallery, search.order, len(search.gallery)
    everything = Exact(metric=Metric.inner_product).build(search.tie_ordered)
    fetch = min(k + _SPARE, n)
    starts = range(0, n, BLOCK_ROWS)
    for start in track(starts, stage="graph", total=len(starts), unit="blocks"):
        rows = slice(start, min(start + BLOCK_ROWS, n))
        places = everything.search(gallery[rows], fetch)[0]
        near = order[places]
        scores = pair_similarities(gallery[rows], gallery, near)
        near, scores = sorted_with_ties(near, scores, order)
        near, scores, last = near[:, :k], scores[:, :k], scores[:, -1]
        # What was not fetched may be as near: which of the equals were, is chance.
        tied = scores[:, -1] <= last + _ROUNDING if fetch < n else np.zeros(len(near), dtype=bool)
        if tied.any():
            near[tied], scores[tied] = _among_all(gallery[rows][tied], gallery, order, k)
        yield rows, near, scores


def _among_all(
    vectors: FloatArray, gallery: FloatArray, order: IntArray, k: int
) -> tuple[IntArray, FloatArray]:
    """The nearest k, with every item compared; many blank images are one vector only."""
    distinct, same = np.unique(vectors, axis=0, return_inverse=True)
    positions = np.empty((len(distinct), k), np.int64)
    scores = np.empty((len(distinct), k), np.float32)
    for row, vector in enumerate(distinct):
        everything = np.einsum("qkd,qd->qk", gallery[None], vector[None])[0][order]
        best = np.argsort(-everything, kind="stable")[:k]
        positions[row], scores[row] = order[best], everything[best]
    return positions[same.ravel()], scores[same.ravel()]


def _read(path: Path, shape: tuple[int, int]) -> NeighborGraph | None:
    arrays = read(path)
    if arrays is None or {"positions", "similarities"} - arrays.keys():
        return None
    positions, similarities = arrays["positions"], arrays["similarities"]
    whole = positions.shape == similarities.shape == shape
    return NeighborGraph(positions.astype(np.int64), similarities) if whole else None


def similarity_weights(similarities: FloatArray, exponent: float) -> npt.NDArray[np.float64]:
    """Cosines to a power, as weights: negative ones count as 0, and twins, by rounding, as 1."""
    return np.clip(similarities, 0, 1).astype(np.float64) ** exponent
