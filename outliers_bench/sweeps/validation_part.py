"""Validation part of a sweep: its jobs are measured on it, and its winner on the other queries."""

from __future__ import annotations

import logging

from omegaconf import DictConfig, read_write

from outliers_bench.data.validation import Evaluated
from outliers_bench.errors import BenchError
from outliers_bench.sweeps.objective import is_of_queries
from outliers_bench.sweeps.plugins import is_search
from outliers_bench.sweeps.space import Space

SHARE_IN_SEARCH = 0.2  # of the queries
_log = logging.getLogger(__name__)
_SHARE, _EVALUATE = "data.validation", "data.evaluate"


def use_validation(config: DictConfig, space: Space) -> float | None:
    """Let the jobs of a sweep be measured on validation queries.

    A search has a validation part unless `data.validation=0` is given, or its objective is a cost,
    which does not depend on the queries. The jobs of any other sweep have one if `data.validation`
    is given. `data.evaluate`, if it is given, is what all jobs rank.

    Returns
    -------
    float or None
        Share of the queries; None if the jobs are measured on what the options say.

    Raises
    ------
    BenchError
        If the trials of a search would be measured on different queries.
    """
    varied = [name for name in (_SHARE, _EVALUATE) if name in space.keys]
    if varied and is_search(config.hydra):
        raise BenchError(f"{varied[0]}: the trials of a search share the split; give one value")
    if varied or config.data.get("evaluate") is not None:
        return None
    share = config.data.get("validation")
    has_folds = config.data.get("folds") is not None and config.data.get("fold") is None
    if config.data.get("repeats", 1) > 1 or has_folds:
        if is_search(config.hydra):
            _log.warning(
                "data.repeats, data.folds: the search is measured on the queries that are "
                "reported, as validation queries of one split are queries of another"
            )
        return None
    if share is None and is_search(config.hydra) and is_of_queries(str(config.objective)):
        share = SHARE_IN_SEARCH
    if not share:
        return None
    with read_write(config):
        config.data.validation = share
        config.data.evaluate = Evaluated.validation
        task = config.hydra.overrides.task
        if _SHARE not in space.given:
            task.append(f"{_SHARE}={share}")
        task.append(f"{_EVALUATE}={Evaluated.validation.value}")
    return float(share)
