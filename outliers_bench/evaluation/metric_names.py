"""Names of the metrics in MLflow, and their direction."""

from __future__ import annotations

import re

from outliers_bench.evaluation.metrics import find_metric

_COST = re.compile(
    r"dimensions|search_ms_per_query|\w+_bytes|(index_build|training|epoch)_seconds|seconds_\w+"
    r"|(val_)?loss|features_computed|keypoints_computed|queries_(without_|of_un)\w+"
    r"|(rerank_)?images_(un|not_|without_|duplicate|conflicting)\w*|leaks_\w+"
)


def is_score(metric: str) -> bool:
    """Check whether a metric measures the quality of a ranking by labels."""
    return find_metric(metric) is not None


def lower_is_better(metric: str) -> bool:
    """Check whether a metric is a cost; scores, speeds and recall are better if higher."""
    score = find_metric(metric)
    return _COST.fullmatch(metric) is not None if score is None else not score.higher_is_better
