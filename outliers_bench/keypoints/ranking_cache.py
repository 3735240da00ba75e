"""Cache of rankings by keypoints: matching takes minutes, and ensembles reuse rankings."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import opencv
from outliers_bench.runtime.meter import Meter
from outliers_bench.store.files import digest_of, read_arrays, write_arrays
from outliers_bench.store.memo import load_or_make
from outliers_bench.types import Exclusion, ImageSet, IntArray, Ranking
from outliers_bench.version import __version__

MIN_DEPTH = 1000  # minimum number of cached hits per query
MAX_RANKINGS = 1000  # cached rankings; each search by a photo adds one
MAX_BYTES = 2**30  # of all cached rankings


def rank_or_load(
    rank: Callable[[int, Meter], Ranking],
    *,
    key: Mapping[str, object],
    queries: ImageSet,
    gallery: ImageSet,
    exclusion: Exclusion,
    order: IntArray,
    depth: int,
    cache: Path,
    meter: Meter,
) -> Ranking:
    """Rank, or read the same ranking from the cache.

    Parameters
    ----------
    rank : callable
        Ranks to a given depth, and records its times in a given meter.
    key : mapping of str to object
        All options that the ranking depends on.
    queries, gallery : ImageSet
    exclusion : Exclusion
    order : array of int64, shape (n,)
        Permutation of the gallery that breaks ties.
    depth : int
    cache : Path
    meter : Meter
        Records the original times also if a ranking is read, since they are its cost.
    """
    content: list[npt.NDArray[Any]] = [
        np.frombuffer(b"".join(part.digests), dtype=np.uint8) for part in (queries, gallery)
    ]
    is_loo = exclusion.items is not None
    if exclusion.largest and not is_loo:
        content += [exclusion.query_keys, exclusion.gallery_keys]
    # The host is included because times are cached too.
    software = {"version": __version__, "opencv": opencv().__version__, "host": platform.node()}
    name = digest_of({**key, "leave_one_out": is_loo, **software}, *content, order)
    path = cache / "rankings" / f"keypoints-{name}.npz"

    def make() -> tuple[Ranking, dict[str, float]]:
        own = Meter()
        # A deeper ranking takes no longer: all pairs are matched for any depth.
        return rank(min(max(depth, MIN_DEPTH), len(order)), own), own.seconds

    ranking, elapsed = load_or_make(
        path,
        read=lambda path: _read(path, depth, len(queries)),
        make=make,
        write=_write,
        limit=MAX_RANKINGS,
        limit_bytes=MAX_BYTES,
    )
    for stage, seconds in elapsed.items():
        meter.add(stage, seconds)
    return Ranking(ranking.indices[:, :depth], ranking.scores[:, :depth])


def _read(path: Path, depth: int, n_query: int) -> tuple[Ranking, dict[str, float]] | None:
    arrays = read_arrays(path)
    ranking = Ranking(arrays["indices"].astype(np.int64), arrays["scores"].astype(np.float32))
    if ranking.depth < depth or len(ranking.indices) != n_query:
        return None
    return ranking, dict(zip(arrays["stages"].tolist(), arrays["seconds"].tolist(), strict=True))


def _write(measured: tuple[Ranking, dict[str, float]], path: Path) -> None:
    ranking, elapsed = measured
    smallest = np.min_scalar_type(-1 - int(ranking.indices.max(initial=0)))  # -1 ends a row
    write_arrays(
        path,
        indices=ranking.indices.astype(smallest),
        scores=ranking.scores,
        stages=np.array(list(elapsed), dtype=np.str_),
        seconds=np.array(list(elapsed.values())),
    )
