"""Options that change nothing, told rather than ignored."""

from __future__ import annotations

import logging

from outliers_bench.config.schema import Config
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.training.base import TrainedModel

_log = logging.getLogger(__name__)


def tell_untrained(config: Config) -> None:
    """Tell of options for a training where nothing is trained."""
    models = config.model.models if isinstance(config.model, Ensemble) else (config.model,)
    if any(isinstance(model, TrainedModel) and not model.ready for model in models):
        return
    idle = {
        f"lr_schedule={config.lr_schedule.name}": bool(config.lr_schedule.label),
        f"augment={config.augment.name}": config.augment.active,
        "deterministic=true": config.deterministic,
    }
    for option in (option for option, given in idle.items() if given):
        _log.warning("%s changes nothing: model=%s is not trained", option, config.model.name)


def tell_idle(config: Config, *, because: str = "compares keypoints, not embeddings") -> None:
    """Tell of options that change nothing where there are no embeddings.

    Parameters
    ----------
    config : Config
        What was asked for.
    because : str
        What the model does instead.
    """
    index = config.index
    idle = {
        f"pca.n={config.pca.n}": config.pca.n is not None,
        f"reduce={config.reduce.name}": config.reduce.active,
        f"l2.before_reduction={str(config.l2.before_reduction).lower()}": config.l2.before_reduction,
        f"l2.after_reduction={str(config.l2.after_reduction).lower()}": config.l2.after_reduction,
        f"index={index.name}": index.name != "exact",
        f"index.metric={index.metric.name}": index.metric is not Metric.cosine,
        f"rerank={config.rerank.name}": bool(config.rerank.label),
    }
    for option in (option for option, given in idle.items() if given):
        _log.warning("%s changes nothing: model=%s %s", option, config.model.name, because)
