"""Coverage of confidence intervals, levels and power of comparisons, and their cost.

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

from benchmarks.clustered_queries import (
    CONTINUOUS,
    coverage_of_clusters,
    false_positives_of_clusters,
    false_positives_of_unlike_methods,
    precision_mean,
    precisions,
)
from benchmarks.machine import machine_info
from outliers_bench.evaluation.intervals import bootstrap
from outliers_bench.evaluation.paired import ALPHA, compare_with_best
from outliers_bench.runtime.machine import cores

TAILS = (0.025, 0.975)
HIT_RATES = (0.5, 0.7, 0.9, 0.97, 0.99)


def data_sets(
    n: int, sets: int, rng: np.random.Generator
) -> Iterator[tuple[str, np.ndarray, float]]:
    """Yield the name, the per-query values (n, sets) and the true mean of each distribution."""
    for p in HIT_RATES:
        yield f"hit {p}", (rng.random((n, sets)) < p).astype(float), p
    for name in CONTINUOUS:
        yield f"AP {name}", precisions(name, (n, sets), rng), precision_mean(name)


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


# True means of the runs of a table, in standard errors of a difference of two runs.
TABLES = {
    "2 equal": [0] * 2,
    "5 equal": [0] * 5,
    "10 equal": [0] * 10,
    "20 equal": [0] * 20,
    "50 equal": [0] * 50,
    "5: 2 best, 3 worse by 2": [0] * 2 + [-2] * 3,
    "10: 3 best, 7 worse by 3": [0] * 3 + [-3] * 7,
    "20: each worse by 0.5": [-0.5 * i for i in range(20)],
    "20: 10 best, 10 worse by 3": [0] * 10 + [-3] * 10,
    "20: 1 best, 19 worse by 4": [0] + [-4] * 19,
    "50: 5 best, 45 worse by 4": [0] * 5 + [-4] * 45,
}


def tables_of_runs(sets: int) -> dict[str, dict[str, float]]:
    """Measure how often a run is wrongly called worse than the best, and how often rightly.

    Compared are the simultaneous test and Holm's correction of p-values that regard the best as
    chosen before. Queries come in 50 clusters of 4 that agree with a correlation of 0.3.
    """
    rng = np.random.default_rng(1)
    clusters = np.repeat(np.arange(50), 4)
    error = np.sqrt(2 * (0.3 + 0.7 / 4) / 50)  # of the difference between two runs

    def draw(runs: int) -> np.ndarray:
        common = rng.normal(size=(runs, 50))[:, clusters]
        return np.sqrt(0.3) * common + np.sqrt(0.7) * rng.normal(size=(runs, 200))

    print("\nany run wrongly called worse than the best, fraction of tables (and the share of the")
    print("worse runs that are found): simultaneous test, Holm with the best as if chosen before")
    results = {}
    for name, steps in TABLES.items():
        means = np.array(steps) * error
        wrong, found = np.zeros(2), np.zeros(2)
        for seed in range(sets):
            values = means[:, None] + draw(1) + draw(len(means))
            compared = compare_with_best(values, clusters=clusters, seed=seed, permutations=2000)
            others = np.arange(len(means)) != compared.best
            adjusted = np.ones((2, len(means)))
            adjusted[0] = compared.adjusted
            adjusted[1, others] = holm(compared.p_value[others])
            worse = adjusted < ALPHA
            wrong += (worse & (means >= means[compared.best])).any(axis=1)
            found += (worse & (means < means.max())).sum(axis=1)
        total = max(1, int((means < means.max()).sum())) * sets
        names = ("wrong", "wrong_holm", "found", "found_holm")
        ratios = [*(wrong / sets).tolist(), *(found / total).tolist()]
        results[name] = row = dict(zip(names, ratios, strict=True))
        print(
            f"  {name:<30}{row['wrong']:.3f} ({row['found']:.2f})"
            f"   {row['wrong_holm']:.3f} ({row['found_holm']:.2f})",
            flush=True,
        )
    return results


def holm(p_values: np.ndarray) -> np.ndarray:
    """Correct p-values by Holm's step-down procedure (1979)."""
    m, order = len(p_values), np.argsort(p_values, kind="stable")
    adjusted = np.empty(m)
    adjusted[order] = np.maximum.accumulate(p_values[order] * np.arange(m, 0, -1))
    return adjusted


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
    individuals = np.arange(options.queries) // 10
    metrics, runs = rng.random((options.queries, 12)), rng.random((40, options.queries))
    seconds = {
        "intervals, 1,000 resamples": time_call(lambda: bootstrap(metrics, seed=0, resamples=1000)),
        "intervals, as many as in a run": time_call(lambda: bootstrap(metrics, seed=0)),
        "intervals by individual": time_call(
            lambda: bootstrap(metrics, seed=0, clusters=individuals)
        ),
        "40 runs, 10,000 permutations": time_call(lambda: compare_with_best(runs)),
        "the same by individual": time_call(lambda: compare_with_best(runs, clusters=individuals)),
    }
    print(f"{options.queries:,} queries, 12 metrics, {cores()} cores")
    for name, value in seconds.items():
        print(f"  {name:<32}{value:>8.2f} s")
    print()
    results = {
        "machine": machine_info("numpy", "scipy"),
        "seconds": seconds,
        "coverage": coverage(options.sets, options.resamples),
        "coverage_of_clusters": coverage_of_clusters(options.sets, options.resamples),
        "false_positives_of_clusters": false_positives_of_clusters(max(options.sets // 2, 1)),
        "false_positives_of_unlike_methods": false_positives_of_unlike_methods(
            max(options.sets // 2, 1)
        ),
        "tables_of_runs": tables_of_runs(max(options.sets // 2, 1)),
    }
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
