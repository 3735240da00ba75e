"""Cache of built indexes: the same vectors and options are built once."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from outliers_bench.retrieval.indexes.copies import CopiesSearcher, first_equal
from outliers_bench.retrieval.indexes.index import Index, Searcher
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import status
from outliers_bench.store.files import digest_of
from outliers_bench.store.memo import load_or_make
from outliers_bench.store.seal import is_intact, seal
from outliers_bench.types import FloatArray

_METADATA = "index.json"


def build_or_load(
    index: Index, load: Callable[[], FloatArray], *, cache: Path | None, meter: Meter
) -> Searcher:
    """Build an index, or read it from the cache.

    An approximate index is built over the distinct vectors, and `CopiesSearcher` adds their copies.

    Parameters
    ----------
    index : Index
        Cached if `Index.is_cached`.
    load : callable
        Returns the gallery, shape (n, d), float32, normalized if the metric is cosine. Its time
        counts as build time; for exhaustive search there is no other.
    cache : Path or None
    meter : Meter
        Records the time as stage `index`, the size, and the build time, which is the original one
        if the index was read from the cache.
    """
    with meter.stage("index"):
        start = time.perf_counter()
        gallery = load()
        first = np.arange(len(gallery)) if index.exact else first_equal(gallery)
        distinct = np.unique(first)
        has_copies = len(distinct) < len(first)
        if has_copies:
            gallery = gallery[distinct]
        load_seconds = time.perf_counter() - start

    def build() -> tuple[Searcher, float]:
        with status(f"building {index.name}"), meter.stage("index"):
            start = time.perf_counter()
            searcher = index.build(gallery)
            return searcher, load_seconds + time.perf_counter() - start

    def read(folder: Path) -> tuple[Searcher, float] | None:
        with meter.stage("index"):
            if not is_intact(folder):  # libraries may crash on a damaged file
                return None
            facts = json.loads((folder / _METADATA).read_text())
            return index.read(folder), float(facts["build_seconds"])

    def write(built: tuple[Searcher, float], folder: Path) -> None:
        searcher, seconds = built
        folder.mkdir()
        searcher.write(folder)
        facts = {"build_seconds": seconds}
        (folder / _METADATA).write_text(json.dumps(facts, indent=2) + "\n")
        seal(folder)

    if index.is_cached and cache is not None:
        kind = type(index).__name__.lower()  # not `index.name`, which may be any string
        path = cache / "indexes" / f"{kind}-{digest_of(index.build_key, gallery)}"
        searcher, seconds = load_or_make(path, read=read, make=build, write=write)
    else:
        searcher, seconds = build()
    if has_copies:
        searcher = CopiesSearcher(searcher, first)
    meter.index_build_seconds, meter.index_bytes = seconds, searcher.nbytes
    return searcher
