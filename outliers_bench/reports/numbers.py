"""Numbers as people read them, the same on the terminal, in MLflow and in the leaderboard."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Mapping, Sequence

from outliers_bench.evaluation.metric_names import is_score
from outliers_bench.leakage.policy import describe_pair_counts
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Costs

_ABSOLUTE = 1000.0
_WEIGHT = "weight_"  # what the counts of an ensemble's weights begin with
_F32_COST = "f32_cost/"
_ENGINE = "engine_"  # what tells of the engine, for MLflow
_COUNTS = {
    "images_without_keypoints": ("no keypoints", "in {:,} images"),
    "rerank_images_without_keypoints": ("no keypoints", "in {:,} images, so not re-ranked"),
    "keypoints_computed": ("keypoints", "{:,} computed"),
    "keypoints_reused": ("keypoints", "{:,} reused"),
    "epochs": ("training", "{:,.0f} epochs"),
    "best_epoch": ("training", "epoch {:,.0f} kept"),
    "training_kept": ("training", "by an earlier run"),
    "training_seconds": ("training", "{:,.1f} s"),
    "best_val_accuracy": ("training", "accuracy {:.3f} on a part of train held out"),
    "queries_of_unseen_classes": ("not trained", "the classes of {:,.0f} queries"),
    "map_at_r_tuning": ("tuned", "to MAP@R {:.3f} on a part of train"),
}
_TITLES = {"map_at_r": "MAP@R", "r_precision": "R-precision", "mrr": "MRR"}


def score(value: float) -> str:
    """A metric between 0 and 1, three decimals."""
    return f"{value:.3f}"


def size(n_bytes: float) -> str:
    """A number of bytes with a unit that keeps it short.

    Examples
    --------
    >>> size(512), size(3_400_000), size(1024**2 - 1)
    ('512 B', '3.2 MiB', '1.0 MiB')
    """
    for unit, digits in (("B", 0), ("KiB", 1), ("MiB", 1)):
        if round(abs(n_bytes), digits) < 1024:  # as it will be shown
            return f"{n_bytes:.{digits}f} {unit}"
        n_bytes /= 1024
    return f"{n_bytes:.1f} GiB"


def rate(value: float) -> str:
    """A speed or a time with three significant digits, thousands as whole numbers.

    Examples
    --------
    >>> rate(0.12345), rate(999.6), rate(13_888.2)
    ('0.123', '1,000', '13,888')
    """
    short = f"{value:.3g}"
    return f"{value:,.0f}" if abs(float(short)) >= _ABSOLUTE else short


def title(metric: str) -> str:
    """A metric's name for a heading.

    Examples
    --------
    >>> title("hit_at_5"), title("map_at_r")
    ('hit@5', 'MAP@R')
    """
    return _TITLES.get(metric, metric.replace("_at_", "@").replace("_", " "))


def interval(ends: tuple[float, float]) -> str:
    """A 95% interval.

    Examples
    --------
    >>> interval((0.7694, 0.85))
    '0.769-0.850'
    """
    return "-".join(map(score, ends))


def scores(result: Result) -> list[tuple[str, str]]:
    """Heading and value of each metric, with its 95% interval; empty for data without labels."""
    if result.evaluation is None:
        return []
    found = result.evaluation
    spread = {
        name: f" [{score(low)}, {score(high)}]" for name, (low, high) in found.intervals.items()
    }
    return [(title(n), score(value) + spread.get(n, "")) for n, value in found.metrics.items()]


def costs(result: Result) -> list[tuple[str, str]]:
    """Heading and value of each cost that was measured."""
    cost = result.costs
    speed = cost.images_per_second
    stages = " · ".join(f"{stage} {rate(seconds)}" for stage, seconds in cost.seconds.items())
    return [
        ("dimensions", f"{cost.dimensions:,}"),
        ("features", f"{cost.features_computed:,} computed, {cost.features_reused:,} reused"),
        ("extraction", "not measured" if speed is None else f"{rate(speed)} images/s"),
        ("search", f"{rate(cost.search_ms_per_query)} ms a query"),
        ("index", _index(cost)),
        ("peak memory", size(cost.peak_memory_bytes)),
        *_told(cost.counts),
        *([("seconds", stages)] if stages else []),
    ]


def _index(cost: Costs) -> str:
    """What is known about an index: its size, how long it took to build, what it misses."""
    parts = [size(cost.index_bytes)]
    if cost.index_build_seconds is not None:
        parts.append(f"built in {rate(cost.index_build_seconds)} s")
    if cost.recall_at_10 is not None:
        parts.append(f"finds {score(cost.recall_at_10)} of the nearest ten (recall@10)")
    return ", ".join(parts)


def _told(counts: Mapping[str, float]) -> list[tuple[str, str]]:
    weights = [
        f"{name.removeprefix(_WEIGHT)} {weight:.3g}"
        for name, weight in counts.items()
        if name.startswith(_WEIGHT)
    ]
    agreement = _against_f32(counts)
    known = [
        (_COUNTS.get(name, (name.replace("_", " "), "{:,}")), n)
        for name, n in counts.items()
        if n and not name.startswith((_WEIGHT, _F32_COST, _ENGINE))
    ]
    told: dict[str, list[str]] = {"weights": weights} if weights else {}
    for (heading, text), n in known:
        told.setdefault(heading, []).append(text.format(n))
    return [*agreement, *((heading, " · ".join(texts)) for heading, texts in told.items())]


def _against_f32(counts: Mapping[str, float]) -> list[tuple[str, str]]:
    """What a precision below float32 costs, in a line for each model that was compared."""
    lines = []
    compared = [name for name in counts if name.startswith(_F32_COST)]
    for images in (name for name in compared if name.endswith("/images")):
        prefix = images.removesuffix("images")
        label = prefix.removeprefix(_F32_COST).strip("/")
        costs = [
            f"{title(name)} {0.0 - counts[prefix + name]:+.3f}"
            for name in ("hit_at_1", "map_at_r")
            if prefix + name in counts
        ]
        cosines = [counts[f"{prefix}cosine_{name}"] for name in ("mean", "min")]
        agree = f"cosine {cosines[0]:.4f} (least {cosines[1]:.4f})"
        told = " · ".join([*costs, agree, f"on {counts[images]:,.0f} images"])
        lines.append(("next to f32", f"{label}: {told}" if label else told))
    return lines


def counts(result: Result) -> list[tuple[str, str]]:
    """Heading and value of how many images stand where, and what was left out and why."""
    split = result.split
    against = "each against all others" if split.leave_one_out else ""
    found = [
        ("queries", f"{len(split.query):,} {against}".strip()),
        ("gallery", f"{len(split.gallery):,}"),
        ("train", f"{len(split.train):,}"),
    ]
    left_out = Counter(item.kind for item in split.left_out)
    reasons = [f"{n:,} {kind.replace('_', ' ')}" for kind, n in left_out.items()]
    if result.evaluation is not None and result.evaluation.queries_without_relevant:
        reasons.append(
            f"{result.evaluation.queries_without_relevant:,} queries with nothing to find"
        )
    return [*found, ("left out", ", ".join(reasons) or "nothing")]


def leaks(metrics: Mapping[str, float]) -> str:
    """What an audit has found, and what it does to the score; empty where there are no leaks.

    Parameters
    ----------
    metrics : mapping of str to float
        A run's, by their names in MLflow.

    Examples
    --------
    >>> leaks({"leaks_exact": 20, "leaks_near": 1, "hit_at_1": 0.5, "without_leaks/hit_at_1": 0.25})
    '21 pairs of copies across parts (20 exact, 1 near): hit@1 0.500, without them 0.250'
    """
    exact, near = (metrics.get(f"leaks_{kind}", 0.0) for kind in ("exact", "near"))
    if not exact + near:
        return ""
    two_labels = metrics.get("leaks_two_labels", 0.0)
    within = "leaks_gallery_gallery" in metrics
    told = describe_pair_counts(exact, near, within=within) + (
        f", {two_labels:,.0f} under two labels" if two_labels else ""
    )
    for name, words in (("without", "without them"), ("with", "with them")):
        beside = [metric for metric in metrics if metric.startswith(f"{name}_leaks/")]
        if beside:
            metric = beside[0].partition("/")[2]
            both = score(metrics[metric]), score(metrics[beside[0]])
            return f"{told}: {title(metric)} {both[0]}, {words} {both[1]}"
    return f"{told}; no score without them" if any(map(is_score, metrics)) else told


def audit(result: Result) -> list[tuple[str, str]]:
    """Heading and value of what an audit of the split has found; empty where there was none."""
    if result.leaks is None:
        return []
    counts = result.leaks.counts()
    metrics = {} if result.evaluation is None else result.evaluation.metrics
    beside = {} if result.leakage_scores is None else result.leakage_scores.metrics
    told = leaks({**metrics, **beside, **counts}) or "none found"
    if unjudged := counts.get("images_not_compared", 0):
        told += f"; {unjudged:,} photos too small or too flat to look for near copies"
    return [("leaks", told)]


def command(overrides: Sequence[str]) -> str:
    """The command line that repeats a run."""
    return shlex.join(["python", "-m", "outliers_bench", *overrides])
