"""Evaluation of rankings, in NumPy only: importable without TensorFlow, Hydra or MLflow."""

from outliers_bench.evaluation.clusters import (
    Clusters,
    design_effect,
    effective_queries,
    smallest_difference,
)
from outliers_bench.evaluation.evaluate import evaluate
from outliers_bench.evaluation.intervals import confidence_intervals
from outliers_bench.evaluation.paired import Comparison, compare_with_best
from outliers_bench.evaluation.rank_metrics import (
    average_precision,
    average_precision_at_k,
    average_precision_at_r,
    hit_at_k,
    inverse_penalty,
    precision_at_k,
    r_precision,
    reciprocal_rank,
)
from outliers_bench.evaluation.relevance import count_relevant, nothing_relevant

__all__ = [
    "Clusters",
    "Comparison",
    "average_precision",
    "average_precision_at_k",
    "average_precision_at_r",
    "compare_with_best",
    "confidence_intervals",
    "count_relevant",
    "design_effect",
    "effective_queries",
    "evaluate",
    "hit_at_k",
    "inverse_penalty",
    "nothing_relevant",
    "precision_at_k",
    "r_precision",
    "reciprocal_rank",
    "smallest_difference",
]
