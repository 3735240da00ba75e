"""Exact search: ours from two matrices to a ranking, faiss alone, scikit-learn's trees."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.speed import apart
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting, add, say, take

LEARNED = ("kd_tree", "ball_tree", "brute")
DEPTH = 10


def measure(setting: Setting) -> dict[str, Any]:
    """Ours and faiss in turns in one process, for 5,000 queries; the others 200, once each."""
    n, d, queries, few = (2_000, 64, 200, 20) if setting.quick else (43_455, 500, 5_000, 200)
    say(f"top {DEPTH} of {n:,} x {d}, {queries:,} queries; scikit-learn's: {few}")
    rows = {
        "ours": Row("ms", note=f"{queries:,} queries, normalizing, building and ties included"),
        "faiss": Row("ms", note=f"{queries:,} queries, IndexFlatIP, adding included"),
    }
    size = {"n": n, "d": d}
    try:
        both = apart.call(
            *("search",), cwd=setting.work, queries=queries, repeats=setting.repeats, **size
        )
    except apart.ChildError as error:
        both = {"ours": [], "faiss": []}
        for row in rows.values():
            row.failed = str(error)
    for name, row in rows.items():
        for seconds in both[name]:
            add(row, name, 1000 * seconds / queries)
    for name in LEARNED:
        rows[name] = Row("ms", note=f"{few} queries, n_jobs=-1, building apart, once")
        take(rows[name], name, partial(_learned, setting, name, queries=few, **size))
    shape = {**size, "queries": queries, "depth": DEPTH}
    return {**shape, "rows": {name: row.as_dict() for name, row in rows.items()}}


def _learned(setting: Setting, name: str, **options: int) -> tuple[float, dict]:
    found = apart.call("search_trees", cwd=setting.work, algorithm=name, depth=DEPTH, **options)
    return 1000 * found["seconds"] / options["queries"], found


def measured(*, n: int, d: int, queries: int, repeats: int) -> dict[str, list[float]]:
    """Seconds of ours and of faiss alone, in turns; in the process that `measure` starts."""
    import faiss
    import numpy as np

    from benchmarks.indexes import clustered
    from outliers_bench.retrieval.indexes.exact import Exact
    from outliers_bench.retrieval.search import GallerySearch

    gallery, asked = clustered(n, d, queries, clusters=max(1, n // 40), spread=0.7, seed=0)
    order = np.random.default_rng(1).permutation(n)

    def ours() -> None:
        GallerySearch(gallery, index=Exact(), order=order).rank(asked, DEPTH)

    def alone() -> None:
        flat = faiss.IndexFlatIP(d)
        flat.add(gallery)
        flat.search(asked, DEPTH)

    ways = {"ours": ours, "faiss": alone}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for repeat in range(-1, repeats):
        for name in list(ways)[:: 1 if repeat % 2 == 0 else -1]:
            start = time.perf_counter()
            ways[name]()
            if repeat >= 0:  # once before, for threads and caches to start up
                seconds[name].append(time.perf_counter() - start)
    return seconds
