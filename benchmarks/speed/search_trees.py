"""Nearest neighbors by scikit-learn, as the tutorials do it."""

from __future__ import annotations

import time
from typing import Any


def measured(*, algorithm: str, n: int, d: int, queries: int, depth: int) -> dict[str, Any]:
    """Build over unit vectors, whose Euclidean ranking is that of the cosine, and search."""
    from sklearn.neighbors import NearestNeighbors

    from benchmarks.indexes import clustered

    gallery, asked = clustered(n, d, queries, clusters=max(1, n // 40), spread=0.7, seed=0)
    start = time.perf_counter()
    neighbors = NearestNeighbors(n_neighbors=depth, algorithm=algorithm, n_jobs=-1).fit(gallery)
    built = time.perf_counter()
    neighbors.kneighbors(asked)
    return {"build_seconds": built - start, "seconds": time.perf_counter() - built}
