"""The names of the metrics in MLflow, and which direction is better."""

from __future__ import annotations

import re

_SCORE = re.compile(r"(hit|precision)_at_\d+|map_at_r|r_precision|mrr")
_COST = re.compile(
    r"dimensions|search_ms_per_query|\w+_bytes|(index_build|training|epoch)_seconds|seconds_\w+"
    r"|(val_)?loss|features_computed|keypoints_computed|queries_(without_|of_un)\w+"
    r"|(rerank_)?images_(un|not_|without_|duplicate|conflicting)\w*|leaks_\w+"
)


def is_score(metric: str) -> bool:
    """Whether a metric says how good a ranking is, from 0 to 1, and so needs labels."""
    return _SCORE.fullmatch(metric) is not None


def less_is_better(metric: str) -> bool:
    """Whether a metric is a cost; of scores, speeds and recalls more is better."""
    return _COST.fullmatch(metric) is not None
