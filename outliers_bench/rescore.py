"""Second score of a run: the same method on the same photos with, or without, leaked photos."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from outliers_bench.config.schema import Config
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import confidence_intervals, count_relevant, evaluate
from outliers_bench.leakage.policy import AuditedSplit
from outliers_bench.leakage.remove import exclude_leaks
from outliers_bench.methods.method import Method
from outliers_bench.result import LeakageScores
from outliers_bench.training.base import TrainedModel
from outliers_bench.types import Split

_log = logging.getLogger(__name__)


def score_leakage(
    config: Config, method: Method, audited: AuditedSplit, depth: Callable[[Config, Split], int]
) -> LeakageScores | None:
    """Rank once more with the fitted method and evaluate.

    Leaked photos are excluded if they were reported, and included if they were dropped.

    Parameters
    ----------
    config : Config
    method : Method
        Fitted, with features of all photos.
    audited : AuditedSplit
        Without unreadable photos.
    depth : callable
        Returns the depth to rank a split to.

    Returns
    -------
    LeakageScores or None
        None if no photo leaks, photos have no labels, or no query is left to score.
    """
    if not audited.leaks or not audited.split.labeled:
        return None
    other = audited.original
    if not audited.is_filtered:
        cleaned = exclude_leaks(audited.split, audited.leaks, learned=learns_from_labels(config))
        if cleaned is None:
            return None
        other = cleaned
    cut_offs = [k for k in config.k if k <= other.exclusion.max_depth]
    if not cut_offs or not count_relevant(other).any():
        return None
    try:
        ranking = method.rank(other, depth(replace(config, k=cut_offs), other))
    except BenchError as error:  # the headline is not lost for it
        _log.warning("no score %s leaks: %s", "with" if audited.is_filtered else "without", error)
        return None
    found = evaluate(ranking, other, k=cut_offs)
    intervals = confidence_intervals(found.per_query, seed=config.seed)
    name: Literal["with_leaks", "without_leaks"]
    name = "with_leaks" if audited.is_filtered else "without_leaks"
    return LeakageScores(name, replace(found, intervals=intervals))


def learns_from_labels(config: Config) -> bool:
    """Check whether a run learns from the labels of train, so that it has seen queries in train.

    Networks that are trained (those of earlier runs too: nobody knows on which photos), learned
    whitening, an ensemble's tuned weights and calibration. A PCA and visual words see no labels.
    """
    model = config.model
    models = model.models if isinstance(model, Ensemble) else (model,)
    if any(isinstance(each, TrainedModel) or each.model_uris for each in models):
        return True
    tuned = isinstance(model, Ensemble) and model.learns
    return tuned or (config.reducer.active and config.reducer.needs_labels)
