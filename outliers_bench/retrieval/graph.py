"""Who is near whom in a gallery: every vector's nearest others, found exactly, kept on disk."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from outliers_bench import __version__
from outliers_bench.kept import digest_of, keep, read
from outliers_bench.progress import track
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.types import BoolArray, FloatArray, IntArray

if TYPE_CHECKING:
    from outliers_bench.retrieval.search import Search

BLOCK_ROWS = 1024  # gallery items whose neighbours are looked for at a time
PAIR_VALUES = 500_000  # numbers gathered at a time to compare pairs of vectors; more is no faster
_SPARE = 8  # fetched beyond what is wanted: what BLAS has rounded may change places
_ROUNDING = 2e-6  # by which BLAS may differ between two equal pairs of unit vectors


@dataclass(frozen=True, eq=False)
class Neighbours:
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

    def of(
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
        return dropped(positions, self.similarities[items, : k + 1], positions == without[:, None])


def neighbours(search: Search, k: int) -> Neighbours:
    """The k nearest of every gallery item, by exhaustive search whatever the index.

    Parameters
    ----------
    search : Search
        The gallery, normalised; its order settles ties. With a `cache`, the graph is read from
        there where the same gallery had one made before.
    k : int
        Fewer where the gallery has not as many others.

    Returns
    -------
    Neighbours
    """
    k = min(k, len(search.gallery) - 1)
    with search.meter.stage("graph"):
        if search.cache is None:
            return _found(search, k)
        said = {"neighbours": k, "version": __version__}
        name = digest_of(said, search.gallery, search.order)
        path = search.cache / "graphs" / f"neighbours-{name}.npz"
        graph = _read(path, (len(search.gallery), k))
        if graph is None:
            graph = _found(search, k)
            positions = graph.positions.astype(np.int32)
            keep(path, positions=positions, similarities=graph.similarities)
        return graph


def pair_similarities(vectors: FloatArray, gallery: FloatArray, positions: IntArray) -> FloatArray:
    """Inner products of vectors with some gallery items each.

    A pair has the same product, to the last bit, in whatever company it is compared, where BLAS
    may treat the last rows of a block otherwise; so equal vectors stay equally near.

    Parameters
    ----------
    vectors : array of float32, shape (m, d)
    gallery : array of float32, shape (n, d)
    positions : array of int64, shape (m, k)

    Returns
    -------
    array of float32, shape (m, k)
    """
    found = np.empty(positions.shape, dtype=np.float32)
    size = max(1, PAIR_VALUES // max(1, positions.shape[1] * gallery.shape[1]))
    for start in range(0, len(vectors), size):
        rows = slice(start, start + size)
        found[rows] = np.einsum("qkd,qd->qk", gallery[positions[rows]], vectors[rows])
    return found


def settled(
    positions: IntArray, scores: FloatArray, order: IntArray
) -> tuple[IntArray, FloatArray]:
    """Rows sorted by falling score, equal scores by their item's place in `order`."""
    place = np.argsort(order)  # of a permutation: its inverse
    best = np.lexsort((place[positions], -scores), axis=1)
    return np.take_along_axis(positions, best, axis=1), np.take_along_axis(scores, best, axis=1)


def dropped(
    positions: IntArray, scores: FloatArray, unwanted: BoolArray
) -> tuple[IntArray, FloatArray]:
    """Rows without their one unwanted entry; without the last one where there is none."""
    if positions.shape[1] == 0:
        return positions, scores
    unwanted = unwanted.copy()
    unwanted[~unwanted.any(axis=1), -1] = True
    shape = (positions.shape[0], positions.shape[1] - 1)
    return positions[~unwanted].reshape(shape), scores[~unwanted].reshape(shape)


def _found(search: Search, k: int) -> Neighbours:
    n = len(search.gallery)
    positions, similarities = np.empty((n, k), np.int64), np.empty((n, k), np.float32)
    for rows, near, scores in _searched(search, k + 1):
        own = near == np.arange(rows.start, rows.stop)[:, None]
        positions[rows], similarities[rows] = dropped(near, scores, own)
    return Neighbours(positions, similarities)


def _searched(search: Search, k: int) -> Iterator[tuple[slice, IntArray, FloatArray]]:
    """The nearest k of every gallery item, itself among them, a block of items at a time."""
    gallery, order, n = search.gallery, search.order, len(search.gallery)
    everything = Exact(metric=Metric.inner_product).build(search.ordered)
    fetch = min(k + _SPARE, n)
    starts = range(0, n, BLOCK_ROWS)
    for start in track(starts, stage="graph", total=len(starts), unit="blocks"):
        rows = slice(start, min(start + BLOCK_ROWS, n))
        places = everything.search(gallery[rows], fetch)[0]
        near = order[places]
        scores = pair_similarities(gallery[rows], gallery, near)
        near, scores = settled(near, scores, order)
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


def _read(path: Path, shape: tuple[int, int]) -> Neighbours | None:
    arrays = read(path)
    if arrays is None or {"positions", "similarities"} - arrays.keys():
        return None
    positions, similarities = arrays["positions"], arrays["similarities"]
    whole = positions.shape == similarities.shape == shape
    return Neighbours(positions.astype(np.int64), similarities) if whole else None


def powers(similarities: FloatArray, exponent: float) -> npt.NDArray[np.float64]:
    """Cosines to a power, as weights: negative ones count as 0, and twins, by rounding, as 1."""
    return np.clip(similarities, 0, 1).astype(np.float64) ** exponent
