"""Nearest neighbors with scikit-learn, as in its tutorials."""

from __future__ import annotations

import time
from typing import Any


def measure_in_child(*, algorithm: str, n: int, d: int, queries: int, depth: int) -> dict[str, Any]:
    """Build and search on unit vectors, whose Euclidean ranking equals that by cosine."""
    from sklearn.neighbors import NearestNeighbors

    from benchmarks.indexes import clustered_vectors

    gallery, query = clustered_vectors(n, d, queries, clusters=max(1, n // 40), spread=0.7, seed=0)
    start = time.perf_counter()
    neighbors = NearestNeighbors(n_neighbors=depth, algorithm=algorithm, n_jobs=-1).fit(gallery)
    search_start = time.perf_counter()
    neighbors.kneighbors(query)
    seconds = time.perf_counter() - search_start
    return {"build_seconds": search_start - start, "seconds": seconds}
