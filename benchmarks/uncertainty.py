"""Coverage, width and cost of three kinds of confidence intervals.

python -m benchmarks.uncertainty --sets 2000
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from scipy.special import ndtr, ndtri

from benchmarks.machine import machine_info
from outliers_bench.evaluation.intervals import bootstrap
from outliers_bench.evaluation.paired import compare_with_best
from outliers_bench.runtime.machine import cores

TAILS = (0.025, 0.975)
HIT_RATES = (0.5, 0.7, 0.9, 0.97, 0.99)
# Like average precision: fraction of queries at 0, at 1, and a beta distribution in between.
CONTINUOUS = {
    "hard": (0.35, 0.03, 1, 4),
    "middling": (0.1, 0.15, 2, 2),
    "easy": (0.01, 0.6, 5, 1),
}


def data_sets(
    n: int, sets: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield the name, the per-query values (n, sets) and the true mean of each distribution."""
    for p in HIT_RATES:
        yield f"hit {p}", (rng.random((n, sets)) < p).astype(float), p
    for name, (zeros, ones, a, b) in CONTINUOUS.items():
        values, share = rng.beta(a, b, (n, sets)), rng.random((n, sets))
        values[share < zeros] = 0
        values[share > 1 - ones] = 1
        yield f"AP {name}", values, ones + (1 - zeros - ones) * a / (a + b)


def bootstrap_means(values: np.ndarray, resamples: int, rng: np.random.Generator) -> np.ndarray:
    """Compute the means of the classic bootstrap, with the same resamples for all columns."""
    n = len(values)
    counts = rng.multinomial(n, np.full(n, 1 / n), size=resamples)
    return counts.astype(float) @ values / n


def percentile(_: np.ndarray, means: np.ndarray) -> np.ndarray:
    return np.quantile(means, TAILS, axis=0)


def bca(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    """BCa interval of Efron (1987): for a mean, the acceleration is skewness / (6 sqrt n)."""
    n, resamples = len(values), len(means)
    mean = values.mean(axis=0)
    away = values - mean
    spread = (away**2).mean(axis=0)
    skewness = (away**3).mean(axis=0) / np.where(spread == 0, 1, spread) ** 1.5
    acceleration = skewness / (6 * np.sqrt(n))
    below = ((means < mean - 1e-12).mean(axis=0) + (means <= mean + 1e-12).mean(axis=0)) / 2
    bias = ndtri(np.clip(below, 1 / resamples, 1 - 1 / resamples))
    ordered, columns, ends = np.sort(means, axis=0), np.arange(values.shape[1]), []
    for tail in TAILS:
        z = bias + ndtri(tail)
        at = ndtr(bias + z / (1 - acceleration * z)) * (resamples - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, resamples - 1)
        ends.append(ordered[low, columns] * (1 - at + low) + ordered[high, columns] * (at - low))
    return np.array(ends)


def ours(values: np.ndarray, means: np.ndarray) -> np.ndarray:
    return bootstrap(values, seed=0, resamples=len(means))


def coverage(sets: int, resamples: int) -> list[dict[str, object]]:
    methods = {"percentile": percentile, "BCa": bca, "ours": ours}
    rng = np.random.default_rng(0)
    rows: list[dict[str, object]] = []
    print("coverage and mean width of the 95% interval")
    print(f"{'queries':>8}  {'values':<12}" + "".join(f"{method:>18}" for method in methods))
    for n in (50, 340, 2000):
        for name, values, true in data_sets(n, sets, rng):
            means, cells = bootstrap_means(values, resamples, rng), []
            for method, interval in methods.items():
                low, high = interval(values, means)
                covered = float(((low <= true + 1e-12) & (true <= high + 1e-12)).mean())
                width = float((high - low).mean())
                cells.append(f"{covered:>9.3f} ({width:.4f})")
                row = {"method": method, "coverage": covered, "width": width}
                rows.append({"n": n, "values": name, **row})
            print(f"{n:>8,}  {name:<12}" + "".join(f"{cell:>18}" for cell in cells), flush=True)
    return rows


def equal_runs(sets: int) -> dict[int, float]:
    """Measure the family-wise error rate: equally good runs reported as worse than the best."""
    rng = np.random.default_rng(1)
    print("\nfraction of sets of equally good runs in which any is reported as worse than the best")
    rates = {}
    for runs in (2, 5, 10, 20):
        errors = 0
        for seed in range(sets):
            values = rng.normal(size=(1, 200)) + rng.normal(size=(runs, 200))
            compared = compare_with_best(values, seed=seed, permutations=2000)
            errors += not compared.tied.all()
        rates[runs] = errors / sets
        print(f"{runs:>8} runs {rates[runs]:.3f}", flush=True)
    return rates


def time_call(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", type=int, default=2000, help="simulated data sets")
    parser.add_argument("--resamples", type=int, default=2000)
    parser.add_argument("--queries", type=int, default=10_000, help="queries of the timing")
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "uncertainty.json"
    )
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    metrics, runs = rng.random((options.queries, 12)), rng.random((40, options.queries))
    seconds = {
        "intervals, 1,000 resamples": time_call(lambda: bootstrap(metrics, seed=0, resamples=1000)),
        "intervals, as many as in a run": time_call(lambda: bootstrap(metrics, seed=0)),
        "40 runs, 10,000 permutations": time_call(lambda: compare_with_best(runs)),
    }
    print(f"{options.queries:,} queries, 12 metrics, {cores()} cores")
    for name, value in seconds.items():
        print(f"  {name:<32}{value:>8.2f} s")
    print()
    results = {
        "machine": machine_info("numpy", "scipy"),
        "seconds": seconds,
        "coverage": coverage(options.sets, options.resamples),
        "equal_runs": equal_runs(max(options.sets // 2, 1)),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
