"""Hydra's sweepers and launchers: what they are told, checked, and how they are kept quiet."""

from __future__ import annotations

import logging

from hydra.conf import HydraConf
from hydra.types import RunMode
from omegaconf import DictConfig, read_write

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metric_names import less_is_better

BASIC = "hydra._internal.core_plugins."  # where Hydra's own sweeper and launcher stand
_DIRECTION = "hydra.sweeper.direction"
_AT_LEAST_ONE = (("sweeper", "n_trials"), ("sweeper", "n_jobs"))
_log = logging.getLogger(__name__)


def is_search(hydra: DictConfig | HydraConf) -> bool:
    """Whether the jobs are those of a sweeper that learns from what they return."""
    return hydra.mode is not RunMode.RUN and not str(hydra.sweeper._target_).startswith(BASIC)


def in_parallel(hydra: DictConfig) -> bool:
    """Whether several jobs may run at once."""
    return not str(hydra.launcher._target_).startswith(BASIC)


def check_plugins(hydra: DictConfig) -> None:
    """Refuse what a sweeper or launcher would fail on, which it does at length.

    Raises
    ------
    BenchError
        If a number is out of range, or the direction is none.
    """
    for part, name in _AT_LEAST_ONE:
        value = hydra[part].get(name)
        if value is not None and value < 1:
            raise BenchError(f"hydra.{part}.{name}={value}: at least 1")
    if hydra.launcher.get("n_jobs") == 0:
        raise BenchError("hydra.launcher.n_jobs=0: how many jobs run at once; -1 is all cores")
    share = hydra.sweeper.get("max_failure_rate")
    if share is not None and not 0 <= share <= 1:
        raise BenchError(f"hydra.sweeper.max_failure_rate={share}: a share, from 0 to 1")
    given = hydra.sweeper.get("direction")
    if given is not None and _name(given) not in ("minimize", "maximize"):
        raise BenchError(f"{_DIRECTION}={_name(given)}: minimize or maximize")


def check_storage(hydra: DictConfig) -> None:
    """Refuse a database for Optuna's trials that cannot be opened.

    Raises
    ------
    BenchError
        If it cannot; says why.
    """
    storage = hydra.sweeper.get("storage")
    if not isinstance(storage, str):
        return
    speak_plainly()
    import optuna

    try:
        optuna.storages.get_storage(storage)
    except Exception as error:
        why = str(error.__cause__ or error).splitlines()[0]
        raise BenchError(f"hydra.sweeper.storage={storage} cannot be opened: {why}") from error


def decide_direction(config: DictConfig) -> str:
    """Which values of the objective are better, for the sweeper as for the sweep's own run.

    Scores, speeds and recalls are to be large, costs small, unless the command line says otherwise:
    what the sweeper has of itself is no wish of anybody's.

    Parameters
    ----------
    config : DictConfig
        The composed config with Hydra's own part in it; its sweeper is told.

    Returns
    -------
    str
        `minimize` or `maximize`.
    """
    metric = str(config.objective)
    usual = "minimize" if less_is_better(metric) else "maximize"
    sweeper = config.hydra.sweeper
    if "direction" not in sweeper:
        return usual
    if any(word.lstrip("+").startswith(f"{_DIRECTION}=") for word in config.hydra.overrides.hydra):
        asked = _name(sweeper.direction)
        if asked != usual:
            extreme = "smallest" if asked == "minimize" else "largest"
            _log.warning("%s=%s: looking for the %s %s", _DIRECTION, asked, extreme, metric)
        return asked
    with read_write(config):
        sweeper.direction = usual
    return usual


def _name(direction: object) -> str:
    return str(getattr(direction, "name", direction))


def speak_plainly() -> None:
    """Have Optuna log through Hydra: of itself it writes in colors, and a line a trial."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    sweeper = logging.getLogger("hydra_plugins.hydra_optuna_sweeper._impl")
    sweeper.addFilter(_is_news)
    import optuna

    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(logging.WARNING)


def _is_news(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Failed experiment")  # as the job itself has told
