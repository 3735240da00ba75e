"""Rankings by keypoints, kept: matching takes minutes, and an ensemble asks for it again."""

from __future__ import annotations

import platform
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

import numpy as np

from outliers_bench.data.opencv import opencv
from outliers_bench.runtime.meter import Meter
from outliers_bench.store.files import digest_of, keep, read
from outliers_bench.types import IntArray, Ranking, Split
from outliers_bench.version import __version__

DEPTH = 1000  # hits of each query that are kept
MOST = 1000  # rankings that are kept: each search with a photo keeps one, too


def rank_or_load(
    make: Callable[[int], Ranking],
    *,
    said: Mapping[str, object],
    split: Split,
    order: IntArray,
    depth: int,
    cache: Path,
    meter: Meter,
) -> Ranking:
    """Rank, or read the ranking where the same was made before.

    Parameters
    ----------
    make : callable
        Ranks to a given depth and takes down its time in `meter`.
    said : mapping of str to object
        All options that the ranking depends on.
    split : Split
        What is ranked.
    order : array of int64, shape (n,)
        How ties are settled.
    depth : int
        How deep a ranking is wanted.
    cache : Path
        Directory of what is kept between runs.
    meter : Meter
        Where a ranking is read, gets the times that making it took: they are what it costs.

    Returns
    -------
    Ranking
    """
    content = [
        np.frombuffer(b"".join(part.digests), dtype=np.uint8)
        for part in (split.query, split.gallery)
    ]
    # The times that are kept with it are this machine's.
    here = {"version": __version__, "opencv": opencv().__version__, "host": platform.node()}
    name = digest_of({**said, "leave_one_out": split.leave_one_out, **here}, *content, order)
    path = cache / "rankings" / f"keypoints-{name}.npz"
    known = _read(path, depth, len(split.query), meter)
    if known is None:
        before = dict(meter.seconds)
        # All pairs are matched for any depth.
        known = make(min(max(depth, DEPTH), len(split.gallery) - int(split.leave_one_out)))
        spent = {stage: t - before.get(stage, 0.0) for stage, t in meter.seconds.items()}
        keep(
            path,
            indices=known.indices.astype(np.int32),
            scores=known.scores,
            stages=np.array(list(spent), dtype=np.str_),
            seconds=np.array(list(spent.values())),
        )
        _remove_oldest(path.parent)
    return Ranking(known.indices[:, :depth], known.scores[:, :depth])


def _remove_oldest(folder: Path) -> None:
    """Of more than `MOST` rankings keep those that were made last."""
    with suppress(OSError):  # another process may be at it
        by_age = sorted(folder.glob("keypoints-*.npz"), key=lambda path: path.stat().st_mtime)
        for path in by_age[:-MOST]:
            path.unlink(missing_ok=True)


def _read(path: Path, depth: int, n_query: int, meter: Meter) -> Ranking | None:
    arrays = read(path)
    if arrays is None:
        return None
    ranking = Ranking(arrays["indices"].astype(np.int64), arrays["scores"].astype(np.float32))
    if ranking.depth < depth or len(ranking.indices) != n_query:
        return None
    for stage, seconds in zip(arrays["stages"].tolist(), arrays["seconds"].tolist(), strict=True):
        meter.add(stage, seconds)
    return ranking
