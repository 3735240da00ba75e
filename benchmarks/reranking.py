"""Time per query and peak memory of each re-ranker.

python -m benchmarks.reranking --n 43000 --d 500 --queries 1000
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from benchmarks.machine import machine_info
from outliers_bench.config.choices import SCHEMAS
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.runtime.meter import Meter, peak_memory
from outliers_bench.types import Exclusion

RERANKERS = [name for name in SCHEMAS["rerank"] if name != "spatial"]  # spatial needs photos
PER_CLASS = 100
NOISE = 4.0


def draw_vectors(n: int, d: int, queries: int) -> tuple[np.ndarray, ...]:
    """Draw vectors around class centers, so that neighbors are better than chance; with labels."""
    rng = np.random.default_rng(0)
    classes = max(2, n // PER_CLASS)
    centers = rng.standard_normal((classes, d), dtype=np.float32)

    def around(count: int) -> tuple[np.ndarray, np.ndarray]:
        labels = rng.integers(0, classes, count)
        vectors = rng.standard_normal((count, d), dtype=np.float32)
        vectors *= NOISE
        for start in range(0, count, 1000):
            rows = slice(start, start + 1000)
            vectors[rows] += centers[labels[rows]]
        return vectors, labels

    return *around(n), *around(queries)


def measure(name: str, options: argparse.Namespace) -> dict[str, object]:
    """Measure one re-ranker in this process: seconds per stage, peak memory, precision."""
    gallery, labels, queries, query_labels = draw_vectors(options.n, options.d, options.queries)
    if options.leave_one_out:
        queries, query_labels = gallery, labels
    meter = Meter.start()  # resets the peak
    before = peak_memory()
    search = VectorSearch(
        gallery,
        index=Exact(),
        order=np.random.default_rng(1).permutation(options.n),
        meter=meter,
    )
    n_query, nothing = len(queries), Exclusion.nothing
    exclusion = Exclusion.itself(n_query) if options.leave_one_out else nothing(n_query, options.n)
    depth = min(options.depth, exclusion.max_depth)
    start = time.perf_counter()
    ranking = SCHEMAS["rerank"][name]().rank(search, queries, depth, exclusion=exclusion)
    seconds = time.perf_counter() - start
    first = ranking.indices[:, :10]
    return {
        "ms_per_query": 1000 * meter.seconds["search"] / len(queries),
        "rerank_ms_per_query": 1000 * meter.seconds.get("rerank", 0.0) / len(queries),
        "graph_seconds": meter.seconds.get("graph", 0.0),
        "seconds": seconds,
        "peak_bytes": peak_memory(),
        "growth_bytes": peak_memory() - before,
        "precision_at_10": float((labels[first] == query_labels[:, None]).mean()),
    }


def measure_in_child(name: str, arguments: list[str]) -> dict[str, object]:
    """Measure one re-ranker in a new process, for an unaffected memory peak."""
    command = [sys.executable, __file__, *arguments, "--only", name]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=43_000, help="gallery vectors")
    parser.add_argument("--d", type=int, default=500, help="dimensions")
    parser.add_argument("--queries", type=int, default=1000)
    parser.add_argument("--depth", type=int, default=100, help="depth of the rankings")
    parser.add_argument("--leave-one-out", action="store_true", help="query with the gallery")
    parser.add_argument("--rerankers", nargs="+", choices=RERANKERS, default=RERANKERS)
    parser.add_argument("--only", choices=RERANKERS, help=argparse.SUPPRESS)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "reranking.json"
    )
    options = parser.parse_args()
    if options.only is not None:
        print(json.dumps(measure(options.only, options)))
        return
    # First, so that the load is that of other programs.
    machine = machine_info("numpy", "scipy", "faiss-cpu")
    print(f"{options.queries:,} queries, {options.n:,} x {options.d} gallery vectors")
    if options.leave_one_out:
        print("every gallery vector is a query against all others")
    print(f"{'':<24}{'ms/query':>10}{'re-rank':>10}{'graph s':>9}{'peak MiB':>10}{'P@10':>7}")
    results = {}
    for name in options.rerankers:
        results[name] = row = measure_in_child(name, sys.argv[1:])
        print(
            f"{name:<24}{row['ms_per_query']:>10.2f}{row['rerank_ms_per_query']:>10.2f}"
            f"{row['graph_seconds']:>9.1f}{row['peak_bytes'] / 2**20:>10,.0f}"
            f"{row['precision_at_10']:>7.3f}",
            flush=True,
        )
    recorded = {name: value for name, value in vars(options).items() if name not in ("out", "only")}
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(
        json.dumps({"machine": machine, "options": recorded, "results": results}, indent=2) + "\n"
    )


if __name__ == "__main__":
    main()
