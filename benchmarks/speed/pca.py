"""PCA: a first number of components and a second, ours as a run does it, and scikit-learn's."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.speed import apart
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting, add, say

SOLVERS = ("auto", "covariance_eigh")


def measure(setting: Setting) -> dict[str, Any]:
    """All in turns in one process."""
    n, d, first, second = (2_000, 128, 50, 10) if setting.quick else (20_000, 1_280, 500, 100)
    say(f"PCA of {n:,} x {d:,}: {first} components, then {second}")
    ways = ["ours", *(f"scikit-learn {solver}" for solver in SOLVERS)]
    rows = {
        f"{way}, {which}": Row("s", note=f"{count} components")
        for way in ways
        for which, count in (("first", first), ("second", second))
    }
    try:
        found = apart.call(
            *("pca",), cwd=setting.work, n=n, d=d, counts=[first, second], repeats=setting.repeats
        )
    except apart.ChildError as error:
        found = {}
        for row in rows.values():
            row.failed = str(error)
    for name, row in rows.items():
        for seconds in found.get(name, ()):
            add(row, name, seconds)
    shape = {"n": n, "d": d, "counts": [first, second]}
    return {**shape, "rows": {name: row.as_dict() for name, row in rows.items()}}


def measured(*, n: int, d: int, counts: list[int], repeats: int) -> dict[str, list[float]]:
    """Seconds of each fit; in the process that `measure` starts."""
    import numpy as np
    from sklearn.decomposition import PCA

    from benchmarks.indexes import clustered
    from outliers_bench.data.content_hash import content_hash
    from outliers_bench.retrieval.reduction.cache import fit_or_load
    from outliers_bench.retrieval.reduction.pca import Pca
    from outliers_bench.types import ImageSet

    vectors, _ = clustered(n, d, 1, clusters=max(1, n // 40), spread=0.7, seed=0)
    digests = tuple(content_hash(row.tobytes()).digest() for row in vectors)
    part = ImageSet(tuple(map(str, range(n))), digests, None, (), None)  # type: ignore[arg-type]

    def ours(cache: Path) -> Callable[[int], object]:
        return lambda count: fit_or_load(
            Pca(n=count), part, labels=None, vectors_of="", load=vectors.copy, cache=cache
        )

    def theirs(solver: str) -> Callable[[int], object]:
        return lambda count: PCA(count, svd_solver=solver, random_state=0).fit(vectors)

    np.linalg.eigh(vectors[:200].T @ vectors[:200])  # threads start up outside of what is timed
    seconds: dict[str, list[float]] = {}
    for repeat in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            fits = {"ours": ours(Path(folder))}
            fits |= {f"scikit-learn {solver}": theirs(solver) for solver in SOLVERS}
            for name in list(fits)[:: 1 if repeat % 2 == 0 else -1]:
                for which, count in zip(("first", "second"), counts, strict=True):
                    start = time.perf_counter()
                    fits[name](count)
                    taken = seconds.setdefault(f"{name}, {which}", [])
                    taken.append(time.perf_counter() - start)
    return seconds
