"""PCA with two numbers of components in turn: as in a run, and with scikit-learn."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed import child_process
from benchmarks.speed.rows import Row
from benchmarks.speed.settings import Settings, add_value, log

SOLVERS = ("auto", "covariance_eigh")


def measure(settings: Settings) -> dict[str, Any]:
    """Measure all solvers alternately in one process."""
    n, d, first, second = (2_000, 128, 50, 10) if settings.quick else (20_000, 1_280, 500, 100)
    log(f"PCA of {n:,} x {d:,}: {first} components, then {second}")
    methods = ["ours", *(f"scikit-learn {solver}" for solver in SOLVERS)]
    rows = {
        f"{method}, {order}": Row("s", note=f"{count} components")
        for method in methods
        for order, count in (("first", first), ("second", second))
    }
    try:
        timings = child_process.call(
            *("pca",), cwd=settings.work, n=n, d=d, counts=[first, second], repeats=settings.repeats
        )
    except child_process.ChildError as error:
        timings = {}
        for row in rows.values():
            row.failed = str(error)
    for name, row in rows.items():
        for seconds in timings.get(name, ()):
            add_value(row, name, seconds)
    shape = {"n": n, "d": d, "counts": [first, second]}
    return {**shape, "rows": {name: row.as_dict() for name, row in rows.items()}}


def measure_in_child(*, n: int, d: int, counts: list[int], repeats: int) -> dict[str, list[float]]:
    """Time each fit, in the process that `measure` starts."""
    import numpy as np
    from sklearn.decomposition import PCA

    from benchmarks.indexes import clustered_vectors
    from outliers_bench.data.content_hash import content_hash
    from outliers_bench.retrieval.reduction.cache import fit_or_load
    from outliers_bench.retrieval.reduction.pca import Pca
    from outliers_bench.types import ImageSet

    vectors, _ = clustered_vectors(n, d, 1, clusters=max(1, n // 40), spread=0.7, seed=0)
    digests = tuple(content_hash(row.tobytes()).digest() for row in vectors)
    part = ImageSet(tuple(map(str, range(n))), digests, None, (), None)  # type: ignore[arg-type]

    def ours(cache: Path) -> Callable[[int], object]:
        return lambda count: fit_or_load(
            Pca(n=count), part, labels=None, vectors_of="", load=vectors.copy, cache=cache
        )

    def sklearn_pca(solver: str) -> Callable[[int], object]:
        return lambda count: PCA(count, svd_solver=solver, random_state=0).fit(vectors)

    np.linalg.eigh(vectors[:200].T @ vectors[:200])  # warm up the threads
    seconds: dict[str, list[float]] = {}
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            fits = {"ours": ours(Path(folder))}
            fits |= {f"scikit-learn {solver}": sklearn_pca(solver) for solver in SOLVERS}
            for name in list(fits)[:: 1 if repeat % 2 == 0 else -1]:
                for order, count in zip(("first", "second"), counts, strict=True):
                    start = time.perf_counter()
                    fits[name](count)
                    values = seconds.setdefault(f"{name}, {order}", [])
                    values.append(time.perf_counter() - start)
    return seconds
