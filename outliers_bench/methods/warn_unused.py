"""Warnings about options that have no effect."""

from __future__ import annotations

import logging

from outliers_bench.config.schema import Config
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.training.base import TrainedModel

_log = logging.getLogger(__name__)


def warn_unused_training_options(config: Config) -> None:
    """Warn about training options if nothing is trained."""
    models = config.model.models if isinstance(config.model, Ensemble) else (config.model,)
    if any(isinstance(model, TrainedModel) and not model.ready for model in models):
        return
    unused = {
        f"lr_schedule={config.lr_schedule.name}": bool(config.lr_schedule.label),
        f"augment={config.augment.name}": config.augment.active,
        "deterministic=true": config.deterministic,
    }
    for option in (option for option, given in unused.items() if given):
        _log.warning("%s has no effect: model=%s is not trained", option, config.model.name)


def warn_unused_embedding_options(
    config: Config, *, reason: str = "compares keypoints, not embeddings"
) -> None:
    """Warn about embedding options if the model has no embeddings.

    Parameters
    ----------
    config : Config
        Config of the run.
    reason : str
        Rest of the message: what the model does instead.
    """
    index, l2 = config.index, config.l2
    unused = {
        f"pca.n={config.pca.n}": config.pca.n is not None,
        f"reduce={config.reduce.name}": config.reduce.active,
        f"l2.before_reduction={str(l2.before_reduction).lower()}": l2.before_reduction,
        f"l2.after_reduction={str(l2.after_reduction).lower()}": l2.after_reduction,
        f"index={index.name}": index.name != "exact",
        f"index.metric={index.metric.name}": index.metric is not Metric.cosine,
        f"rerank={config.rerank.name}": bool(config.rerank.label),
    }
    for option in (option for option, given in unused.items() if given):
        _log.warning("%s has no effect: model=%s %s", option, config.model.name, reason)
