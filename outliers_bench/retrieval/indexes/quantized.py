"""Quantized indexes: less memory, in exchange for rounded scores."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

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
MAX_BITS = 12  # per code: its table has a row for every value
_LANES = 16  # dimensions that faiss decodes together; the rest take three times as long
_MIN_VECTORS_PER_LIST = 39  # minimum that faiss recommends for training a centroid

_log = logging.getLogger(__name__)


@dataclass
class FaissSq8(FaissIndex):
    """`index=faiss_sq8`: exhaustive, over vectors quantized to one byte per dimension.

    A byte covers the range of its dimension in the gallery.

    References
    ----------
    M. Douze et al., "The Faiss library", 2024.
    """

    name: str = "faiss_sq8"
    exact: ClassVar[bool] = False
    uncompressed: ClassVar[bool] = False

    def _build_index(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        import faiss

        vectors = pad_dimensions(gallery, _round_up(gallery.shape[1], _LANES))
        kind = faiss.ScalarQuantizer.QT_8bit
        codes = faiss.IndexScalarQuantizer(vectors.shape[1], kind, self.faiss_metric)
        codes.train(vectors)
        codes.add(vectors)
        return codes


@dataclass
class FaissIvfPq(FaissIndex):
    """`index=faiss_ivfpq`: approximate, over product-quantized codes in inverted lists.

    Parameters
    ----------
    nlist : int or None
        Number of inverted lists, the clusters of a k-means; None uses four times the square root
        of the gallery's size, but at least 39 vectors per list.
    nprobe : int
        Lists searched per query. More increase recall and search time.
    subquantizers : int
        Sub-vectors that a vector is split into, each with its own code; at most the number of
        dimensions. Vectors are padded with zeros if it does not divide that number.
    nbits : int
        Bits per code; with 8, a vector takes `subquantizers` bytes.
    build_threads : int or None
        Threads for building; None uses all cores. With more than one, the index differs from run
        to run.

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
    uncompressed: ClassVar[bool] = False
    is_cached: ClassVar[bool] = True
    search_options: ClassVar[tuple[str, ...]] = ("nprobe",)

    def check(self) -> None:
        """Raise `BenchError` for an option that is out of range."""
        check_range(1, MAX_C_INT, nlist=self.nlist, nprobe=self.nprobe)
        check_range(1, MAX_SUBQUANTIZERS, subquantizers=self.subquantizers)
        check_range(1, MAX_BITS, nbits=self.nbits)
        check_range(1, MAX_THREADS, build_threads=self.build_threads)

    def _build_index(self, gallery: FloatArray) -> Any:  # noqa: ANN401 - faiss is untyped
        import faiss

        n, d = gallery.shape
        parts = min(self.subquantizers, d)
        width = _round_up(d, parts)
        lists, bits = self._learnable_sizes(n)
        coarse = faiss.IndexFlat(width, self.faiss_metric)
        index = faiss.IndexIVFPQ(coarse, width, lists, parts, bits, self.faiss_metric)
        # With fewer vectors than that, faiss would print a warning to standard error.
        index.cp.min_points_per_centroid = index.pq.cp.min_points_per_centroid = 1
        vectors = pad_dimensions(gallery, width)
        with limit_build_threads(self.build_threads):
            # A code of one bit needs two vectors to train on.
            index.train(vectors if n > 1 else np.repeat(vectors, 2, axis=0))
            index.add(vectors)
        return index

    def _to_searcher(self, built: Any) -> FaissSearcher:  # noqa: ANN401 - faiss is untyped
        built.nprobe = min(self.nprobe, built.nlist)
        return super()._to_searcher(built)

    def _learnable_sizes(self, n: int) -> tuple[int, int]:
        """Limit the numbers of lists and bits to those that n vectors can train."""
        default = max(1, min(int(4 * n**0.5), n // _MIN_VECTORS_PER_LIST))
        lists = min(self.nlist or default, n)
        bits = min(self.nbits, max(1, n.bit_length() - 1))
        for option, requested, used in (("nlist", self.nlist, lists), ("nbits", self.nbits, bits)):
            if requested not in (None, used):
                _log.warning(
                    "index.%s=%d is too large for a gallery of %d different vectors; using %d",
                    *(option, requested, n, used),
                )
        return lists, bits


def _round_up(d: int, multiple: int) -> int:
    """Round d up to a multiple."""
    return -(-d // multiple) * multiple
