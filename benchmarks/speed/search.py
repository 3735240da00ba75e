"""Exact search: this project from two matrices to a ranking, faiss alone, scikit-learn."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from benchmarks.speed import child_process
from benchmarks.speed.rows import Row
from benchmarks.speed.settings import Settings, add_value, log, measure_row

SKLEARN = ("kd_tree", "ball_tree", "brute")
DEPTH = 10


def measure(settings: Settings) -> dict[str, Any]:
    """Measure ours and faiss alternately in one process, 5,000 queries; the others once, 200."""
    n, d, queries, few = (2_000, 64, 200, 20) if settings.quick else (43_455, 500, 5_000, 200)
    log(f"top {DEPTH} of {n:,} x {d}, {queries:,} queries; scikit-learn: {few}")
    rows = {
        "ours": Row("ms", note=f"{queries:,} queries, including normalization, build and ties"),
        "faiss": Row("ms", note=f"{queries:,} queries, IndexFlatIP, including the build"),
    }
    size = {"n": n, "d": d}
    try:
        both = child_process.call(
            *("search",), cwd=settings.work, queries=queries, repeats=settings.repeats, **size
        )
    except child_process.ChildError as error:
        both = {"ours": [], "faiss": []}
        for row in rows.values():
            row.failed = str(error)
    for name, row in rows.items():
        for seconds in both[name]:
            add_value(row, name, 1000 * seconds / queries)
    for name in SKLEARN:
        rows[name] = Row("ms", note=f"{few} queries, n_jobs=-1, excluding the build, once")
        measure_row(rows[name], name, partial(_sklearn, settings, name, queries=few, **size))
    shape = {**size, "queries": queries, "depth": DEPTH}
    return {**shape, "rows": {name: row.as_dict() for name, row in rows.items()}}


def _sklearn(settings: Settings, name: str, **options: int) -> tuple[float, dict]:
    result = child_process.call(
        "search_trees", cwd=settings.work, algorithm=name, depth=DEPTH, **options
    )
    return 1000 * result["seconds"] / options["queries"], result


def measure_in_child(*, n: int, d: int, queries: int, repeats: int) -> dict[str, list[float]]:
    """Time ours and faiss alone alternately, in the process that `measure` starts."""
    import faiss
    import numpy as np

    from benchmarks.indexes import clustered_vectors
    from outliers_bench.retrieval.indexes.exact import Exact
    from outliers_bench.retrieval.search import VectorSearch
    from outliers_bench.types import Exclusion

    gallery, query = clustered_vectors(n, d, queries, clusters=max(1, n // 40), spread=0.7, seed=0)
    order = np.random.default_rng(1).permutation(n)
    nothing = Exclusion.nothing(queries, n)

    def ours() -> None:
        VectorSearch(gallery, index=Exact(), order=order).rank(query, DEPTH, exclusion=nothing)

    def faiss_alone() -> None:
        flat = faiss.IndexFlatIP(d)
        flat.add(gallery)
        flat.search(query, DEPTH)

    methods = {"ours": ours, "faiss": faiss_alone}
    seconds: dict[str, list[float]] = {name: [] for name in methods}
    for repeat in range(-1, repeats):
        for name in list(methods)[:: 1 if repeat % 2 == 0 else -1]:
            start = time.perf_counter()
            methods[name]()
            if repeat >= 0:  # the first repeat, -1, warms up threads and caches
                seconds[name].append(time.perf_counter() - start)
    return seconds
