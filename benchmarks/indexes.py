"""Build time, size, query time and recall of every index on the same synthetic vectors.

python -m benchmarks.indexes --n 200000 --d 500
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmarks.machine import machine_info
from outliers_bench.retrieval.indexes.annoy_trees import Annoy
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.hnsw import FaissHnsw
from outliers_bench.retrieval.indexes.index import Index, Searcher
from outliers_bench.retrieval.indexes.quantized import FaissIvfPq, FaissSq8
from outliers_bench.retrieval.indexes.trees import BallTree, KdTree
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Exclusion

DEPTH = 10
TREE_QUERIES = 20  # in so many dimensions a tree visits almost all vectors
EF_SEARCH = (16, 32, 64, 128, 256)
COLUMNS = ("index", "build s", "MiB", "queries", "ms single", "ms batch", "recall", "x exact")
WIDTHS = (8, 8, 8, 10, 10, 8, 8)


@dataclass
class Row:
    """Row of the table; query times in milliseconds."""

    index: str
    build_seconds: float
    bytes: int
    queries: int
    single_ms: float
    single_ms_quartiles: tuple[float, float]
    batch_ms: float
    recall_at_10: float
    times_exact: float = float("nan")


def clustered_vectors(
    n: int, d: int, n_query: int, *, clusters: int, spread: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Draw a gallery and queries of unit length around the same cluster centers.

    The noise around a center is `spread` times as long as the center, and decreases over the
    dimensions, as in features after PCA: with equal noise in all dimensions, the neighbors in a
    cluster would all be equally far away.
    """
    rng = np.random.default_rng(seed)
    scale = (1 / np.sqrt(1 + np.arange(d))).astype(np.float32)
    centers = rng.standard_normal((clusters, d), dtype=np.float32) * scale

    def draw(count: int) -> np.ndarray:
        points = rng.standard_normal((count, d), dtype=np.float32)
        points *= scale * np.float32(spread)
        points += centers[rng.integers(0, clusters, count)]
        return l2_normalize(points)

    return draw(n), draw(n_query)


def variants(names: list[str], options: argparse.Namespace) -> Iterator[list[Index]]:
    """Yield lists of indexes to measure; those of a list share a build."""
    graph = FaissHnsw(
        m=options.m,
        ef_construction=options.ef_construction,
        build_threads=options.build_threads or None,
    )
    known: dict[str, list[Index]] = {
        "exact": [Exact()],
        "faiss_hnsw": [replace(graph, ef_search=ef) for ef in EF_SEARCH],
        "faiss_ivfpq": [
            FaissIvfPq(nprobe=probes, build_threads=options.build_threads or None)
            for probes in (16, 64)
        ],
        "faiss_sq8": [FaissSq8()],
        "annoy": [Annoy(search_k=search_k) for search_k in (None, 10_000)],
        "kd_tree": [KdTree()],
        "ball_tree": [BallTree()],
    }
    if importlib.util.find_spec("annoy") is None:
        del known["annoy"]
    for name in names or known:
        if name not in known:
            raise SystemExit(f"--indexes {name}: there are {', '.join(known)}")
        yield known[name]


def measure(index: Index, search: VectorSearch, queries: np.ndarray, *, singles: int) -> Row:
    """Time the searcher of `search` alone, then measure the recall of the search of a run."""
    searcher: Searcher = search.searcher
    if isinstance(index, (KdTree, BallTree)):
        queries, singles = queries[:TREE_QUERIES], min(singles, TREE_QUERIES)
    searcher.search(queries[:2], DEPTH)  # warm up threads and caches
    single_ms = []
    for i in range(min(singles, len(queries))):
        start = time.perf_counter()
        searcher.search(queries[i : i + 1], DEPTH)
        single_ms.append(1000 * (time.perf_counter() - start))
    start = time.perf_counter()
    searcher.search(queries, DEPTH)
    batch_ms = 1000 * (time.perf_counter() - start) / len(queries)
    low, median, high = np.percentile(single_ms, [25, 50, 75])
    nothing = Exclusion.nothing(len(queries), len(search))
    recall = recall_at_10(search, queries, depth=DEPTH, exclusion=nothing)
    return Row(
        " ".join([index.name, *(f"{o}={getattr(index, o)}" for o in index.search_options)]),
        search.meter.index_build_seconds or 0.0,
        search.meter.index_bytes,
        len(queries),
        float(median),
        (float(low), float(high)),
        batch_ms,
        1.0 if recall is None else recall,
    )


def reload_with_options(searcher: Searcher, index: Index, folder: Path) -> Searcher:
    """Load a built index from its folder with the search options of `index`."""
    path = folder / index.name
    if not path.exists():
        path.mkdir()
        searcher.write(path)
    return index.read(path)


def format_row(row: Row) -> str:
    return (
        f"{row.index:36} {row.build_seconds:8.1f} {row.bytes / 2**20:8.1f} {row.queries:8,}"
        f" {row.single_ms:10.3f} {row.batch_ms:10.3f} {row.recall_at_10:8.4f}"
        f" {row.times_exact:8.1f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=200_000, help="vectors in the gallery")
    parser.add_argument("--d", type=int, default=500)
    parser.add_argument("--queries", type=int, default=1000, help="in a batch")
    parser.add_argument("--singles", type=int, default=200, help="searched one by one")
    parser.add_argument("--indexes", nargs="*", default=[], help="names; default: all")
    parser.add_argument("--clusters", type=int, default=None, help="default: one per 40 vectors")
    parser.add_argument("--spread", type=float, default=0.7, help="noise relative to the center")
    parser.add_argument("--m", type=int, default=FaissHnsw.m)
    parser.add_argument("--ef-construction", type=int, default=FaissHnsw.ef_construction)
    parser.add_argument("--build-threads", type=int, default=1, help="0: all cores")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results/indexes.json")
    options = parser.parse_args()
    options.out.parent.mkdir(parents=True, exist_ok=True)

    # First, so that the load is that of other programs.
    machine = machine_info("faiss-cpu", "annoy", "scipy", "scikit-learn", "numpy")
    clusters = options.clusters or max(1, options.n // 40)
    gallery, queries = clustered_vectors(
        *(options.n, options.d, options.queries),
        clusters=clusters,
        spread=options.spread,
        seed=options.seed,
    )
    print(f"{options.n:,} x {options.d} in {clusters:,} clusters, spread {options.spread:g}")
    print(
        f"{COLUMNS[0]:36} "
        + " ".join(f"{c:>{w}}" for c, w in zip(COLUMNS[1:], WIDTHS, strict=True))
    )
    rows: list[Row] = []
    # Exact search first: the others are compared with its time.
    names = options.indexes and ["exact", *(n for n in options.indexes if n != "exact")]
    for group in variants(names, options):
        search = VectorSearch(gallery, index=group[0], order=np.arange(options.n), meter=Meter())
        searcher = search.searcher
        for index in group:
            if len(group) > 1:
                search.index = index
                search.__dict__["searcher"] = reload_with_options(
                    searcher, index, options.out.parent
                )
            row = measure(index, search, queries, singles=options.singles)
            row.times_exact = (rows[0] if rows else row).single_ms / row.single_ms
            rows.append(row)
            print(format_row(row), flush=True)
        (options.out.parent / f"{group[0].name}.index").unlink(missing_ok=True)
    recorded = {name: value for name, value in vars(options).items() if name != "out"}
    result = {
        "machine": machine,
        "options": {**recorded, "clusters": clusters},
        "rows": [vars(row) for row in rows],
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n")
    print("ms per query: median of single queries, and in one batch; x exact: single queries")


if __name__ == "__main__":
    main()
