"""Intervals and tests of queries that agree: the photos of one individual, simulated."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from outliers_bench.evaluation.intervals import bootstrap
from outliers_bench.evaluation.paired import ALPHA, compare_with_best

DESIGNS = ((20, 10), (50, 4), (200, 2))  # individuals, photos of each
CORRELATIONS = (0, 0.1, 0.3, 0.5, 0.7, 0.9)
HIT_RATES = (0.3, 0.5, 0.7, 0.9)
UNLIKE_RATES = (0.5, 0.7, 0.9, 0.97)
# Like average precision: fraction of queries at 0, at 1, and a beta distribution in between.
CONTINUOUS = {
    "hard": (0.35, 0.03, 1, 4),
    "middling": (0.1, 0.15, 2, 2),
    "easy": (0.01, 0.6, 5, 1),
}


def precisions(name: str, shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Draw independent values like average precision."""
    zeros, ones, a, b = CONTINUOUS[name]
    values, share = rng.beta(a, b, shape), rng.random(shape)
    values[share < zeros] = 0
    values[share > 1 - ones] = 1
    return values


def precision_mean(name: str) -> float:
    zeros, ones, a, b = CONTINUOUS[name]
    return ones + (1 - zeros - ones) * a / (a + b)


def agreeing_hits(
    rate: float, clusters: np.ndarray, correlation: float, sets: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw hits with the same correlation between any two queries of a cluster: beta-binomial."""
    n = clusters.max() + 1
    scale = 1 / max(correlation, 1e-9) - 1
    chance: np.ndarray = (rng.random((n, sets)) < rate).astype(float)
    if correlation < 1:
        chance = rng.beta(rate * scale, (1 - rate) * scale, (n, sets))
    return (rng.random((len(clusters), sets)) < chance[clusters]).astype(float)


def agreeing_precisions(
    name: str, clusters: np.ndarray, correlation: float, sets: int, rng: np.random.Generator
) -> np.ndarray:
    """Draw values like average precision: of some queries, the value common to their cluster."""
    common = precisions(name, (clusters.max() + 1, sets), rng)[clusters]
    own = precisions(name, common.shape, rng)
    return np.where(rng.random(common.shape) < np.sqrt(correlation), common, own)


Draw = Callable[[np.ndarray, float, int, np.random.Generator], np.ndarray]


def distributions() -> dict[str, tuple[float, Draw]]:
    """Return the mean and the drawing function of each distribution."""
    hits: dict[str, tuple[float, Draw]] = {
        f"hit {rate}": (rate, lambda *args, rate=rate: agreeing_hits(rate, *args))
        for rate in HIT_RATES
    }
    return hits | {
        f"AP {name}": (
            precision_mean(name),
            lambda *args, name=name: agreeing_precisions(name, *args),
        )
        for name in CONTINUOUS
    }


def coverage_of_clusters(sets: int, resamples: int) -> list[dict[str, object]]:
    """Measure the coverage of 95% intervals by query and by individual."""
    rng, rows = np.random.default_rng(2), []
    print("\ncoverage of the 95% interval by individual (by query), by correlation")
    print(f"{'':<22}" + "".join(f"{correlation:>15}" for correlation in CORRELATIONS))
    for n, size in DESIGNS:
        clusters, cells = np.repeat(np.arange(n), size), []
        for name, (true, draw) in distributions().items():
            cells = []
            for correlation in CORRELATIONS:
                values = draw(clusters, correlation, sets, rng)
                covered = {}
                for unit, ids in {"individual": clusters, "query": None}.items():
                    seed = int(rng.integers(2**31))
                    low, high = bootstrap(values, seed=seed, clusters=ids, resamples=resamples)
                    covered[unit] = float(((low <= true) & (true <= high)).mean())
                cells.append(f"{covered['individual']:.3f} ({covered['query']:.3f})")
                rows.append(
                    {"n": n, "size": size, "values": name, "correlation": correlation} | covered
                )
            label = f"{n} x {size}, {name}"
            print(f"{label:<22}" + "".join(f"{cell:>15}" for cell in cells), flush=True)
    return rows


def false_positives_of_clusters(sets: int) -> list[dict[str, object]]:
    """Measure how often one of two equally good methods is called better."""
    rng, rows = np.random.default_rng(3), []
    correlations = (*CORRELATIONS, 1)
    print("\nfalse positives of the paired test by individual (by query), by correlation")
    print(f"{'':<22}" + "".join(f"{correlation:>15}" for correlation in correlations))
    for n, size in DESIGNS:
        clusters = np.repeat(np.arange(n), size)
        for name, (_, draw) in distributions().items():
            cells = []
            for correlation in correlations:
                pair = np.stack([draw(clusters, correlation, sets, rng) for _ in range(2)])
                wrong = {
                    unit: np.mean([is_different(pair[..., i], ids, i) for i in range(sets)])
                    for unit, ids in {"individual": clusters, "query": None}.items()
                }
                cells.append(f"{wrong['individual']:.3f} ({wrong['query']:.3f})")
                rows.append(
                    {"n": n, "size": size, "values": name, "correlation": correlation}
                    | {unit: float(rate) for unit, rate in wrong.items()}
                )
            label = f"{n} x {size}, {name}"
            print(f"{label:<22}" + "".join(f"{cell:>15}" for cell in cells), flush=True)
    return rows


def false_positives_of_unlike_methods(sets: int) -> list[dict[str, object]]:
    """Measure the same for methods with one hit rate, of which one misses whole individuals."""
    rng, rows = np.random.default_rng(5), []
    print("\nfalse positives by individual if one method misses photos at random, and the other")
    print("whole individuals (correlation 0.9), by hit rate")
    print(f"{'':<10}" + "".join(f"{rate:>8}" for rate in UNLIKE_RATES))
    for n, size in DESIGNS:
        clusters = np.repeat(np.arange(n), size)
        wrong = []
        for rate in UNLIKE_RATES:
            pair = np.stack([agreeing_hits(rate, clusters, r, sets, rng) for r in (0, 0.9)])
            different = [is_different(pair[..., i], clusters, i) for i in range(sets)]
            wrong.append(float(np.mean(different)))
            rows.append({"n": n, "size": size, "rate": rate, "individual": wrong[-1]})
        print(f"{f'{n} x {size}':<10}" + "".join(f"{each:>8.3f}" for each in wrong), flush=True)
    return rows


def is_different(values: np.ndarray, clusters: np.ndarray | None, seed: int) -> bool:
    compared = compare_with_best(values, clusters=clusters, seed=seed, permutations=1000)
    return bool((compared.adjusted < ALPHA).any())
