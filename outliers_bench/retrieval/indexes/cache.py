"""Indexes that take long to build, kept: built once for the same vectors and options."""

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
from outliers_bench.store.files import digest_of, written
from outliers_bench.types import FloatArray

_log = logging.getLogger(__name__)


def build_or_load(
    index: Index, load: Callable[[], FloatArray], *, cache: Path | None, meter: Meter
) -> Searcher:
    """Build an index, or read it where it was kept.

    Parameters
    ----------
    index : Index
        What to build, and whether it is kept.
    load : callable
        Gives the gallery, shape (n, d), float32, normalized where the metric is cosine. Putting it
        in order is a part of building; for an exhaustive search it is all of it.
    cache : Path or None
        Directory of what is kept between runs; None keeps nothing.
    meter : Meter
        Takes down the time as stage `index`, the time that building has taken, whenever that
        was, and the size.

    Returns
    -------
    Searcher
    """
    path = None
    with meter.stage("index"):
        start = time.perf_counter()
        gallery = load()
        seconds_before = time.perf_counter() - start
    if index.is_cached and cache is not None:
        kind = type(index).__name__.lower()  # and not its name, which may be anything
        path = cache / "indexes" / f"{kind}-{digest_of(index.build_key, gallery)}"
        seconds = _build_seconds(path)
        # Not there, or damaged: built anew.
        with suppress(OSError, ValueError):
            if seconds is not None:
                with meter.stage("index"):
                    searcher = index.load(path)
                meter.index_build_seconds, meter.index_bytes = seconds, searcher.nbytes
                return searcher
    with status(f"building {index.name}"), meter.stage("index"):
        start = time.perf_counter()
        searcher = index.build(gallery)
        meter.index_build_seconds = seconds_before + time.perf_counter() - start
    meter.index_bytes = searcher.nbytes
    if path is not None:
        _keep(searcher, path, meter.index_build_seconds)
    return searcher


def _keep(searcher: Searcher, path: Path, seconds: float) -> None:
    try:
        # First, so that no index is there without them.
        with written(_facts(path)) as aside:
            aside.write_text(json.dumps({"build_seconds": seconds}) + "\n")
        with written(path) as aside:
            searcher.save(aside)
    except OSError as error:
        _log.warning("the index could not be kept in %s: %s", path.parent, error.strerror)


def _build_seconds(path: Path) -> float | None:
    """What building a kept index has taken; None if there is no telling."""
    try:
        return float(json.loads(_facts(path).read_text())["build_seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _facts(path: Path) -> Path:
    return path.with_name(f"{path.name}.json")
