"""The parent run of a sweep: begun before the first job, summed up after the last."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from outliers_bench import published
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.names import is_score
from outliers_bench.explain import leave
from outliers_bench.sweeps.objective import objective_of
from outliers_bench.sweeps.space import BASIC, Space, check, needs_objective
from outliers_bench.tracking.run import PARENT_RUN_VARIABLE

if TYPE_CHECKING:
    from outliers_bench.benchmark import Prepared
    from outliers_bench.types import Result

_NO_BARS = "TTY_COMPATIBLE"  # what rich asks before it draws what moves


class ParentRun(Callback):
    """Hydra callback that begins the parent run and tells the jobs, by environment, its id.

    It also makes the database, which several jobs starting at once must not race for, and refuses
    a sweep none of whose jobs could find its photos.
    """

    uri: ClassVar[str | None] = None  # where the parent run is, in the process that began it

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:  # noqa: ARG002
        """Begin the parent run."""
        try:
            self._begin(config)
        except BenchError as error:
            leave(error)  # of a mere exception Hydra would warn, and go on

    def _begin(self, config: DictConfig) -> None:
        space = Space.of(config)
        check(config, space)
        if not config.hydra.launcher._target_.startswith(BASIC):
            os.environ[_NO_BARS] = "0"  # those of parallel jobs would draw over each other
        if "optuna" in config.hydra.sweeper._target_:
            _speak_plainly()
            _maximise_scores(config)
        from outliers_bench.tracking.recorder import recorder
        from outliers_bench.tracking.sweep import start_parent

        uri = str(config.tracking.uri)
        os.environ[PARENT_RUN_VARIABLE] = recorder(uri).call(
            start_parent,
            config.tracking.experiment or _data_name(config),
            overrides=list(config.hydra.overrides.task),
            n_jobs=space.n_jobs,
            swept=space.beside,
            objective=config.objective,
            direction=_direction(config),
        )
        ParentRun.uri = uri


def _direction(config: DictConfig) -> str:
    direction = config.hydra.sweeper.get("direction")
    return str(getattr(direction, "name", direction) or "maximize")


def _maximise_scores(config: DictConfig) -> None:
    """Nobody looks for the worst ranking, which is what Optuna's plugin does unless it is told."""
    if is_score(config.objective) and _direction(config) == "minimize":
        with read_write(config):
            config.hydra.sweeper.direction = "maximize"


def _speak_plainly() -> None:
    """Have Optuna log through Hydra: of itself it writes in colours, and a line a trial."""
    import optuna

    optuna.logging.disable_default_handler()
    optuna.logging.enable_propagation()
    optuna.logging.set_verbosity(logging.WARNING)


def wants_objective() -> bool:
    """Whether the job that runs here is asked for its objective."""
    return needs_objective(HydraConfig.get())


def objective(prepared: Prepared, result: Result | None) -> float:
    """What a job returns to the sweeper: the objective of its run.

    Parameters
    ----------
    prepared : Prepared
        What was run.
    result : Result or None
        What came of it; None where it was found done, so that the run recorded it.

    Raises
    ------
    BenchError
        If the run has no such metric.
    """
    from outliers_bench.identity import identity
    from outliers_bench.tracking.entries import find_finished
    from outliers_bench.tracking.record import metrics_of
    from outliers_bench.tracking.recorder import recorder

    config, split = prepared.config, prepared.split
    if result is not None:
        return objective_of(metrics_of(result), config.objective)
    run = recorder(config.tracking.uri).call(
        find_finished, config.tracking.experiment or split.name, identity(config, split)
    )
    return objective_of({} if run is None else run.metrics, config.objective)


@contextmanager
def recorded(cfg: DictConfig, overrides: Sequence[str]) -> Iterator[None]:
    """Record a job of a sweep that is refused before its own run has begun, as a FAILED child.

    Parameters
    ----------
    cfg : DictConfig
        The job's config as composed.
    overrides : sequence of str
        The job's overrides.
    """
    try:
        yield
    except BenchError as error:
        parent = os.environ.get(PARENT_RUN_VARIABLE)
        if parent:
            from outliers_bench.tracking.recorder import recorder
            from outliers_bench.tracking.sweep import record_failure

            tags = {"data": _data_name(cfg), **published.tags(cfg.published, overrides)}
            recorder(str(cfg.tracking.uri)).call(
                record_failure, parent, overrides=overrides, error=error, tags=tags
            )
        raise


def finish(status: str | None = None) -> int | None:
    """End the parent run, if this process has begun one.

    Parameters
    ----------
    status : str or None
        FINISHED, FAILED or KILLED; None lets the children decide.

    Returns
    -------
    int or None
        How many jobs did not finish; None where there was no sweep, or one that was refused before
        its first job: that leaves no run behind.
    """
    if ParentRun.uri is None:
        return None
    from outliers_bench.tracking.recorder import recorder
    from outliers_bench.tracking.sweep import discard_parent, finish_parent

    parent = os.environ.pop(PARENT_RUN_VARIABLE)
    uri, ParentRun.uri = ParentRun.uri, None
    if status == "FAILED" and recorder(uri).call(discard_parent, parent):
        return None
    return recorder(uri).call(finish_parent, parent, status)


def _data_name(config: DictConfig) -> str:
    """The data set's name, as far as it is known before any job has loaded it."""
    try:
        source = OmegaConf.to_object(config.data)
    except OmegaConfBaseException:  # it is among the swept options
        return "sweep"
    return source.title() if isinstance(source, DataSource) else "sweep"
