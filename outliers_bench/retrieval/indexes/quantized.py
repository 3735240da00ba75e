"""Vectors in a few bytes: less memory, for scores that are rounded."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.retrieval.indexes.faiss_index import (
    MAX_THREADS,
    FaissIndex,
    FaissSearcher,
    limit_build_threads,
    pad_dimensions,
)
from outliers_bench.retrieval.indexes.index import MAX_C_INT, check_range
from outliers_bench.types import FloatArray

MAX_SUBQUANTIZERS = 4096
MAX_BITS = 12  # of a code, whose table has a row for every value it can take
_LANES = 16  # faiss decodes so many dimensions at a time; others one by one, in thrice the time
_PER_LIST = 39  # vectors that faiss wants for a centroid to mean something

_log = logging.getLogger(__name__)


@dataclass
class FaissSq8(FaissIndex):
    """`index=faiss_sq8`: exhaustive, over vectors of a byte a dimension.

    A byte spans what a dimension ranges over in the gallery.

    References
    ----------
    M. Douze et al., "The Faiss library", 2024.
    """

    name: str = "faiss_sq8"
    exact: ClassVar[bool] = False

    def _build_index(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        import faiss

        vectors = pad_dimensions(gallery, _multiple(gallery.shape[1], _LANES))
        kind = faiss.ScalarQuantizer.QT_8bit
        codes = faiss.IndexScalarQuantizer(vectors.shape[1], kind, self.faiss_metric)
        codes.train(vectors)
        codes.add(vectors)
        return codes


@dataclass
class FaissIvfPq(FaissIndex):
    """`index=faiss_ivfpq`: approximate, over codes in lists of which a query probes a few.

    Parameters
    ----------
    nlist : int or None
        Into which the gallery is parted by k-means; None takes four times the square root of its
        size, and no more than leaves 39 vectors for each.
    nprobe : int
        Lists that a query looks into; more find more, and take longer.
    subquantizers : int
        Sub-vectors that a vector is cut into, each coded by itself; no more than it has
        dimensions. Where they do not divide those, zeros are added.
    nbits : int
        Of the code of a sub-vector; with 8, a vector takes as many bytes.
    build_threads : int or None
        Of building; None takes all cores. With more than one, it differs from run to run.

    References
    ----------
    H. Jégou, M. Douze, C. Schmid, "Product quantization for nearest neighbor search", TPAMI 2011.
    """

    name: str = "faiss_ivfpq"
    nlist: int | None = None
    nprobe: int = 16
    subquantizers: int = 64
    nbits: int = 8
    build_threads: int | None = 1

    exact: ClassVar[bool] = False
    is_cached: ClassVar[bool] = True
    search_options: ClassVar[tuple[str, ...]] = ("nprobe",)

    def check(self) -> None:
        """Raise `BenchError` for numbers of which nothing can be built."""
        check_range(1, MAX_C_INT, nlist=self.nlist, nprobe=self.nprobe)
        check_range(1, MAX_SUBQUANTIZERS, subquantizers=self.subquantizers)
        check_range(1, MAX_THREADS, build_threads=self.build_threads)
        if not 1 <= self.nbits <= MAX_BITS:
            raise BenchError(f"index.nbits={self.nbits}: from 1 to {MAX_BITS}")

    def _build_index(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        import faiss

        n, d = gallery.shape
        parts = min(self.subquantizers, d)
        width = _multiple(d, parts)
        lists, bits = self._learnable_sizes(n)
        coarse = faiss.IndexFlat(width, self.faiss_metric)
        index = faiss.IndexIVFPQ(coarse, width, lists, parts, bits, self.faiss_metric)
        # With fewer vectors faiss would write a warning to standard error.
        index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
        vectors = pad_dimensions(gallery, width)
        with limit_build_threads(self.build_threads):
            # A code of one bit is learned from two vectors, even where there is one.
            index.train(vectors if n > 1 else np.repeat(vectors, 2, axis=0))
            index.add(vectors)
        return index

    def _wrap(self, built: Any) -> FaissSearcher:  # noqa: ANN401 - faiss is untyped
        built.nprobe = min(self.nprobe, built.nlist)
        return super()._wrap(built)

    def _learnable_sizes(self, n: int) -> tuple[int, int]:
        """Lists and bits that n vectors are enough to learn."""
        usual = max(1, min(int(4 * n**0.5), n // _PER_LIST))
        lists = min(self.nlist or usual, n)
        bits = min(self.nbits, max(1, n.bit_length() - 1))
        for option, asked, had in (("nlist", self.nlist, lists), ("nbits", self.nbits, bits)):
            if asked not in (None, had):
                _log.warning(
                    "index.%s=%d is more than a gallery of %d can teach; taken as %d",
                    *(option, asked, n, had),
                )
        return lists, bits


def _multiple(d: int, of: int) -> int:
    """The next multiple that is not below d."""
    return -(-d // of) * of
