"""Number formatting shared by the terminal, MLflow and the leaderboard."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence

from outliers_bench.evaluation.choose_clusters import describe_clusters
from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.evaluation.metrics import BALANCED, find_metric, is_score
from outliers_bench.evaluation.statistics import cluster_unit, name_scores, name_statistics
from outliers_bench.leakage.policy import describe_pair_counts
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Costs
from outliers_bench.runtime.units import format_bytes

_WHOLE_FROM = 1000.0  # rates from here on have no decimals
_MILLISECOND = 1e-3
_WEIGHT = "weight_"  # prefix of an ensemble's weights among the counts
_ENGINE = "engine_"  # prefix of what only MLflow records about the engine
_WORTH = ("hit_at_1", "map_at_r", "map")  # metrics whose balanced mean and chance are shown
_COUNTS = {
    "images_without_keypoints": ("no keypoints", "in {:,} images"),
    "rerank_images_without_keypoints": ("no keypoints", "in {:,} images, so not re-ranked"),
    "keypoints_computed": ("keypoints", "{:,} computed"),
    "keypoints_reused": ("keypoints", "{:,} reused"),
    "epochs": ("training", "{:,.0f} epochs"),
    "best_epoch": ("training", "weights of epoch {:,.0f}"),
    "training_reused": ("training", "by an earlier run"),
    "training_seconds": ("training", "{:,.1f} s"),
    "best_val_accuracy": ("training", "accuracy {:.3f} on a held-out part of train"),
    "queries_of_unseen_classes": ("not trained", "the classes of {:,.0f} queries"),
    "map_at_r_tuning": ("tuned", "to MAP@R {:.3f} on a part of train"),
}


def format_score(value: float) -> str:
    """Format a metric between 0 and 1 with three decimals."""
    return f"{value:.3f}"


def format_rate(value: float) -> str:
    """Format a speed or a time with three significant digits, from 1,000 on as a whole number.

    Examples
    --------
    >>> format_rate(0.12345), format_rate(999.6), format_rate(13_888.2)
    ('0.123', '1,000', '13,888')
    """
    short = f"{value:.3g}"
    return f"{value:,.0f}" if abs(float(short)) >= _WHOLE_FROM else short


def format_seconds(value: float) -> str:
    """Format a duration, which is given in seconds.

    Examples
    --------
    >>> format_seconds(0.0004), format_seconds(0.0123), format_seconds(1.678)
    ('<1 ms', '12.3 ms', '1.68 s')
    """
    if value < _MILLISECOND:
        return "<1 ms"
    return f"{format_rate(1000 * value)} ms" if value < 1 else f"{format_rate(value)} s"


def metric_title(metric: str) -> str:
    """Return a metric's name as it appears in a heading.

    Examples
    --------
    >>> metric_title("hit_at_5"), metric_title("map_at_r"), metric_title("balanced/map_at_r")
    ('hit@5', 'MAP@R', 'balanced MAP@R')
    """
    if metric.startswith(BALANCED):
        return f"balanced {metric_title(metric.removeprefix(BALANCED))}"
    score = find_metric(metric)
    return score.title_of(metric) if score else metric.replace("_at_", "@").replace("_", " ")


def format_metric(metric: str, value: float) -> str:
    """Format the value of a metric."""
    score = find_metric(metric)
    return format_score(value) if score is None else score.format(value)


def format_interval(ends: tuple[float, float]) -> str:
    """Format a 95% interval.

    Examples
    --------
    >>> format_interval((0.7694, 0.85))
    '0.769-0.850'
    """
    return "-".join(map(format_score, ends))


def score_rows(result: Result) -> list[tuple[str, str]]:
    """Return title and value of each metric, with its 95% interval; empty without labels."""
    if result.evaluation is None:
        return []
    evaluation = result.evaluation
    intervals = {
        name: f" [{format_score(low)}, {format_score(high)}]"
        for name, (low, high) in evaluation.intervals.items()
    }
    return [
        (metric_title(name), format_metric(name, value) + intervals.get(name, ""))
        for name, value in evaluation.metrics.items()
    ]


def statistics_rows(evaluation: Evaluation | None) -> list[tuple[str, str]]:
    """Return heading and text of what the scores of a result are worth; empty without labels."""
    if evaluation is None:
        return []
    ends = [(f"ci95/{name}", *ends) for name, ends in evaluation.intervals.items()]
    intervals = {f"{name}_low": low for name, low, _ in ends}
    intervals |= {f"{name}_high": high for name, _, high in ends}
    metrics = {**name_scores(evaluation), **name_statistics(evaluation), **intervals}
    return describe_statistics(metrics, cluster_unit(evaluation))


def describe_statistics(metrics: Mapping[str, float], unit: str) -> list[tuple[str, str]]:
    """Return heading and text of what the scores of a run are worth.

    Parameters
    ----------
    metrics : mapping of str to float
        Metrics of the run, by their names in MLflow.
    unit : str
        Unit of the clusters; empty if the run has none.

    Examples
    --------
    >>> metrics = {"hit_at_1": 0.5, "balanced/hit_at_1": 0.4, "chance/hit_at_1": 0.01}
    >>> metrics |= {"clusters": 36, "design_effect/hit_at_1": 2.149}
    >>> metrics |= {"smallest_difference/hit_at_1": 0.0512}
    >>> for heading, text in describe_statistics(metrics, "label"):
    ...     print(f"{heading}: {text}")
    intervals: over 36 individuals (labels); design effect 2.1 for hit@1
    detectable: differences of 0.051 in hit@1, less between runs that fail alike
    balanced: hit@1 0.400 over classes, not queries
    chance: hit@1 0.010
    """
    if "clusters" not in metrics or not unit:
        return []
    scores = [name for name in metrics if is_score(name) and "/" not in name]
    shown = [name for name in scores if name in _WORTH] or scores[:1]
    over = f"over {describe_clusters(unit, int(metrics['clusters']))}"
    first = shown[0] if shown else ""
    effect = metrics.get(f"design_effect/{first}")
    effect_text = f"; design effect {effect:.1f} for {metric_title(first)}" if effect else ""
    rows = [("intervals", f"{over}{effect_text}")]
    if smallest := metrics.get(f"smallest_difference/{first}"):
        rows.append(
            (
                "detectable",
                f"differences of {format_score(smallest)} in {metric_title(first)}, less between "
                "runs that fail alike",
            )
        )
    balanced = [name for name in shown if f"{BALANCED}{name}" in metrics]
    if any(not math.isclose(metrics[n], metrics[f"{BALANCED}{n}"]) for n in balanced):
        text = ", ".join(_balanced_text(metrics, name) for name in balanced)
        rows.append(("balanced", f"{text} over classes, not queries"))
    if chance := [name for name in shown if f"chance/{name}" in metrics]:
        values = ((name, format_score(metrics[f"chance/{name}"])) for name in chance)
        rows.append(
            ("chance", ", ".join(f"{metric_title(name)} {value}" for name, value in values))
        )
    return rows


def _balanced_text(metrics: Mapping[str, float], metric: str) -> str:
    name = f"{BALANCED}{metric}"
    text = f"{metric_title(metric)} {format_metric(metric, metrics[name])}"
    low, high = (metrics.get(f"ci95/{name}_{end}") for end in ("low", "high"))
    return text if low is None or high is None else f"{text} [{format_interval((low, high))}]"


def cost_rows(result: Result) -> list[tuple[str, str]]:
    """Return heading and value of each measured cost."""
    cost = result.costs
    speed = cost.images_per_second
    stages = " · ".join(
        f"{stage} {format_seconds(seconds)}" for stage, seconds in cost.seconds.items()
    )
    return [
        ("dimensions", f"{cost.dimensions:,}"),
        ("features", f"{cost.features_computed:,} computed, {cost.features_reused:,} reused"),
        ("extraction", "not measured" if speed is None else f"{format_rate(speed)} images/s"),
        ("search", f"{format_rate(cost.search_ms_per_query)} ms per query"),
        ("index", _describe_index(cost)),
        ("peak memory", format_bytes(cost.peak_memory_bytes)),
        *_method_rows(cost.counts),
        *([("time", stages)] if stages else []),
    ]


def _describe_index(cost: Costs) -> str:
    """Describe an index: size, build time and recall."""
    parts = [format_bytes(cost.index_bytes)]
    if cost.index_build_seconds is not None:
        parts.append(f"built in {format_seconds(cost.index_build_seconds)}")
    if cost.recall_at_10 is not None:
        parts.append(f"finds {format_score(cost.recall_at_10)} of the nearest ten (recall@10)")
    return ", ".join(parts)


def _method_rows(counts: Mapping[str, float]) -> list[tuple[str, str]]:
    """Return heading and value of what a method has counted; zeros are not shown."""
    weights = [
        f"{name.removeprefix(_WEIGHT)} {weight:.3g}"
        for name, weight in counts.items()
        if name.startswith(_WEIGHT)
    ]
    shown = [
        (_COUNTS.get(name, (name.replace("_", " "), "{:,}")), n)
        for name, n in counts.items()
        if n and not name.startswith((_WEIGHT, _ENGINE))
    ]
    by_heading: dict[str, list[str]] = {"weights": weights} if weights else {}
    for (heading, text), n in shown:
        by_heading.setdefault(heading, []).append(text.format(n))
    return [(heading, " · ".join(texts)) for heading, texts in by_heading.items()]


def describe_leakage(metrics: Mapping[str, float]) -> str:
    """Describe the leakage of a run and its effect on the score; empty without leakage.

    Parameters
    ----------
    metrics : mapping of str to float
        Metrics of the run, by their names in MLflow.

    Examples
    --------
    >>> pairs = {"leaks_exact": 20, "leaks_near": 1}
    >>> describe_leakage({**pairs, "hit_at_1": 0.5, "without_leaks/hit_at_1": 0.25})
    '21 pairs of duplicates across parts (20 exact, 1 near): hit@1 0.500, without them 0.250'
    """
    exact, near = (metrics.get(f"leaks_{kind}", 0.0) for kind in ("exact", "near"))
    if not exact + near:
        return ""
    two_labels = metrics.get("leaks_two_labels", 0.0)
    within = "leaks_gallery_gallery" in metrics
    pairs = describe_pair_counts(exact, near, within=within) + (
        f", {two_labels:,.0f} under two labels" if two_labels else ""
    )
    for name, words in (("without", "without them"), ("with", "with them")):
        rescored = [metric for metric in metrics if metric.startswith(f"{name}_leaks/")]
        if rescored:
            metric = rescored[0].partition("/")[2]
            own, other = format_score(metrics[metric]), format_score(metrics[rescored[0]])
            return f"{pairs}: {metric_title(metric)} {own}, {words} {other}"
    return f"{pairs}; no score without them" if any(map(is_score, metrics)) else pairs


def leakage_rows(result: Result) -> list[tuple[str, str]]:
    """Return heading and result of the leakage audit; empty if the split was not audited."""
    if result.leaks is None:
        return []
    counts = result.leaks.counts()
    metrics = {} if result.evaluation is None else result.evaluation.metrics
    rescored = {} if result.leakage_scores is None else result.leakage_scores.metrics
    text = describe_leakage({**metrics, **rescored, **counts}) or "none found"
    if not_compared := counts.get("images_not_compared", 0):
        text += f"; {not_compared:,} photos too small or too flat to look for near duplicates"
    return [("leakage", text)]


def repeat_command(overrides: Sequence[str]) -> str:
    """Return the command line that repeats a run."""
    return shlex.join(["python", "-m", "outliers_bench", *overrides])
