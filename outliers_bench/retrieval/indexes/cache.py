"""Cache of built indexes: the same vectors and options are built once."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from outliers_bench.retrieval.indexes.index import Index, Searcher
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import status
from outliers_bench.store.files import digest_of, write_atomically
from outliers_bench.types import FloatArray

_log = logging.getLogger(__name__)


def build_or_load(
    index: Index, load: Callable[[], FloatArray], *, cache: Path | None, meter: Meter
) -> Searcher:
    """Build an index, or read it from the cache.

    Parameters
    ----------
    index : Index
        Index to build, cached if `Index.is_cached`.
    load : callable
        Returns the gallery, shape (n, d), float32, normalized if the metric is cosine. Its time
        counts as build time; for exhaustive search there is no other.
    cache : Path or None
        Cache directory; None disables the cache.
    meter : Meter
        Records the time as stage `index`, the size, and the build time, which is the original one
        if the index was read from the cache.

    Returns
    -------
    Searcher
    """
    path = None
    with meter.stage("index"):
        start = time.perf_counter()
        gallery = load()
        load_seconds = time.perf_counter() - start
    if index.is_cached and cache is not None:
        kind = type(index).__name__.lower()  # not `index.name`, which may be any string
        path = cache / "indexes" / f"{kind}-{digest_of(index.build_key, gallery)}"
        seconds = _read_build_seconds(path)
        # A missing or damaged file is built anew.
        with suppress(OSError, ValueError):
            if seconds is not None:
                with meter.stage("index"):
                    searcher = index.load(path)
                meter.index_build_seconds, meter.index_bytes = seconds, searcher.nbytes
                return searcher
    with status(f"building {index.name}"), meter.stage("index"):
        start = time.perf_counter()
        searcher = index.build(gallery)
        meter.index_build_seconds = load_seconds + time.perf_counter() - start
    meter.index_bytes = searcher.nbytes
    if path is not None:
        _save(searcher, path, meter.index_build_seconds)
    return searcher


def _save(searcher: Searcher, path: Path, seconds: float) -> None:
    try:
        # Written first, so that no index is without a build time.
        with write_atomically(_metadata_path(path)) as aside:
            aside.write_text(json.dumps({"build_seconds": seconds}) + "\n")
        with write_atomically(path) as aside:
            searcher.save(aside)
    except OSError as error:
        _log.warning("the index could not be cached in %s: %s", path.parent, error.strerror)


def _read_build_seconds(path: Path) -> float | None:
    """Read the build time of a cached index; None if it is not known."""
    try:
        return float(json.loads(_metadata_path(path).read_text())["build_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _metadata_path(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
