"""Checks and configuration of Hydra's sweepers and launchers."""

from __future__ import annotations

import logging

from hydra.conf import HydraConf
from hydra.types import RunMode
from omegaconf import DictConfig, read_write

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metrics import lower_is_better

BASIC = "hydra._internal.core_plugins."  # module of Hydra's own sweeper and launcher
_DIRECTION = "hydra.sweeper.direction"
_AT_LEAST_ONE = (("sweeper", "n_trials"), ("sweeper", "n_jobs"))
_log = logging.getLogger(__name__)


def is_search(hydra: DictConfig | HydraConf) -> bool:
    """Check whether the sweeper uses the objectives of the jobs, as Optuna does."""
    return hydra.mode is not RunMode.RUN and not str(hydra.sweeper._target_).startswith(BASIC)


def in_parallel(hydra: DictConfig) -> bool:
    """Check whether jobs may run in parallel."""
    return not str(hydra.launcher._target_).startswith(BASIC)


def check_plugins(hydra: DictConfig) -> None:
    """Check the options of sweeper and launcher, whose own errors are long tracebacks."""
    for part, name in _AT_LEAST_ONE:
        value = hydra[part].get(name)
        if value is not None and value < 1:
            raise BenchError(f"hydra.{part}.{name}={value}: must be at least 1")
    if hydra.launcher.get("n_jobs") == 0:
        raise BenchError(
            "hydra.launcher.n_jobs=0: give the number of parallel jobs; -1 uses all cores"
        )
    rate = hydra.sweeper.get("max_failure_rate")
    if rate is not None and not 0 <= rate <= 1:
        raise BenchError(f"hydra.sweeper.max_failure_rate={rate}: must be between 0 and 1")
    direction = hydra.sweeper.get("direction")
    if direction is not None and _name(direction) not in ("minimize", "maximize"):
        raise BenchError(f"{_DIRECTION}={_name(direction)}: must be minimize or maximize")


def check_storage(hydra: DictConfig) -> None:
    """Raise BenchError if the database for Optuna's trials cannot be opened."""
    storage = hydra.sweeper.get("storage")
    if not isinstance(storage, str):
        return
    configure_optuna_logging()
    import optuna

    try:
        optuna.storages.get_storage(storage)
    except Exception as error:
        reason = (str(error.__cause__ or error).splitlines() or [type(error).__name__])[0]
        if isinstance(error, AssertionError):  # on a database whose version was not committed
            reason = "Optuna 2 needs SQLAlchemy below 2: python -m pip install 'sqlalchemy<2'"
        raise BenchError(f"hydra.sweeper.storage={storage} cannot be opened: {reason}") from error


def decide_direction(config: DictConfig) -> str:
    """Set the direction of the sweeper, `minimize` or `maximize`, and return it.

    Scores, speeds and recall are maximized, costs are minimized, unless a direction is given on the
    command line; the sweeper's own default is ignored.
    """
    metric = str(config.objective)
    default = "minimize" if lower_is_better(metric) else "maximize"
    sweeper = config.hydra.sweeper
    if "direction" not in sweeper:
        return default
    if any(word.lstrip("+").startswith(f"{_DIRECTION}=") for word in config.hydra.overrides.hydra):
        requested = _name(sweeper.direction)
        if requested != default:
            _log.warning("%s=%s: the default for %s is %s", _DIRECTION, requested, metric, default)
        return requested
    with read_write(config):
        sweeper.direction = default
    return default


def _name(direction: object) -> str:
    return str(getattr(direction, "name", direction))


def configure_optuna_logging() -> None:
    """Let Optuna log through Hydra; by default it logs in color, with one line per trial."""
    logging.getLogger("alembic").setLevel(logging.WARNING)
    sweeper = logging.getLogger("hydra_plugins.hydra_optuna_sweeper._impl")
    sweeper.addFilter(_is_new)
    import optuna

    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(logging.WARNING)


def _is_new(record: logging.LogRecord) -> bool:
    return not str(record.msg).startswith("Failed experiment")  # as the job has reported it
