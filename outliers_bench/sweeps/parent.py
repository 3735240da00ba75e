"""The parent run of a sweep: begun before the first job, summed up after the last."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.config import published
from outliers_bench.config.hydra_errors import exit_with_error
from outliers_bench.config.hydra_speedups import compose_once
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.sweeps.objective import objective_of
from outliers_bench.sweeps.plugins import decide_direction, in_parallel, is_search, speak_plainly
from outliers_bench.sweeps.space import Space, check
from outliers_bench.tracking.backlog import backlog
from outliers_bench.tracking.current_sweep import set_current_sweep, start_error, clear_current_sweep, parent_run

if TYPE_CHECKING:
    from outliers_bench.benchmark import Prepared

_MODE = "hydra.mode="
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
        except (BenchError, HydraException, OmegaConfBaseException) as error:
            exit_with_error(error)  # of a mere exception Hydra would warn, and go on

    def _begin(self, config: DictConfig) -> None:
        splits.begin()
        space = Space.of(config)
        check(config, space)
        if in_parallel(config.hydra):
            os.environ[_NO_BARS] = "0"  # those of parallel jobs would draw over each other
        else:
            compose_once(GlobalHydra.instance().config_loader())
        if "optuna" in config.hydra.sweeper._target_:
            speak_plainly()
        from outliers_bench.sweeps.mlflow_parent import start_parent
        from outliers_bench.tracking.recorder import get_recorder

        uri = str(config.tracking.uri)
        in_turn = not (in_parallel(config.hydra) or is_search(config.hydra))
        parent = get_recorder(uri).submit(
            start_parent,
            config.tracking.experiment or _data_name(config),
            overrides=list(config.hydra.overrides.task),
            n_jobs=space.n_jobs,
            swept=space.beside,
            objective=config.objective,
            direction=decide_direction(config),
        )
        set_current_sweep(parent, to_other_processes=not in_turn)
        ParentRun.uri = uri
        # A search waits for what each of its jobs has found anyway; workers end on their own.
        if in_turn:
            backlog.begin()

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: object) -> None:  # noqa: ARG002
        """Keep Hydra from telling a failed job's overrides again: the job itself has told them."""
        job_return.__class__ = _QuietReturn


class _QuietReturn(JobReturn):
    @property
    def return_value(self) -> object:
        if isinstance(self._return_value, Exception):
            raise self._return_value
        return self._return_value

    @return_value.setter
    def return_value(self, value: object) -> None:
        self._return_value = value


def job_overrides() -> list[str]:
    """What has to stand on the command line for the job that runs here, alone."""
    hydra = HydraConfig.get()
    told = list(hydra.overrides.task)
    # Where a file asks for the sweep, the same words would begin it anew.
    by_file = not any(word.startswith(_MODE) for word in hydra.overrides.hydra)
    sweeps = hydra.mode is RunMode.MULTIRUN and by_file
    return [*told, f"{_MODE}{RunMode.RUN.name}"] if sweeps else told


def wants_objective() -> bool:
    """Whether the job that runs here is asked for its objective."""
    return is_search(HydraConfig.get())


def objective(prepared: Prepared) -> float:
    """What a job returns to the sweeper: the objective of its run, or of the one found done.

    Parameters
    ----------
    prepared : Prepared
        What was run.

    Raises
    ------
    BenchError
        If the run has no such metric.
    """
    from outliers_bench.config.identity import identity
    from outliers_bench.tracking.recorder import get_recorder
    from outliers_bench.tracking.runs import find_finished

    config, split = prepared.config, prepared.split
    run = get_recorder(config.tracking.uri).call(
        find_finished, config.tracking.experiment or split.name, identity(config, split)
    )
    return objective_of({} if run is None else run.metrics, config.objective)


@contextmanager
def recorded(cfg: DictConfig, overrides: Sequence[str]) -> Iterator[None]:
    """Record a job of a sweep that fails before its own run has begun, as a FAILED child.

    Parameters
    ----------
    cfg : DictConfig
        The job's config as composed.
    overrides : sequence of str
        The job's overrides.
    """
    try:
        yield
    except Exception as error:
        parent = parent_run()
        if parent is not None:
            from outliers_bench.tracking.failed_runs import record_failure
            from outliers_bench.tracking.recorder import get_recorder

            tags = {"data": _data_name(cfg), **published.tags(cfg.published, overrides)}
            get_recorder(str(cfg.tracking.uri)).call(
                record_failure, parent, overrides=overrides, error=error, tags=tags
            )
        raise


def begun() -> bool:
    """Whether this process has begun a sweep and not ended it."""
    return ParentRun.uri is not None


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
    from outliers_bench.sweeps.mlflow_parent import discard_parent, finish_parent
    from outliers_bench.tracking.recorder import get_recorder

    unrecorded = backlog.end()
    splits.end()
    parent, broken = parent_run(), start_error()
    clear_current_sweep()
    uri, ParentRun.uri = ParentRun.uri, None
    if broken is not None:  # it was told, and there is no run to end
        return None
    if status == "FAILED" and get_recorder(uri).call(discard_parent, parent):
        return None
    return max(get_recorder(uri).call(finish_parent, parent, status), unrecorded)


def _data_name(config: DictConfig) -> str:
    """The data set's name, as far as it is known before any job has loaded it."""
    try:
        source = OmegaConf.to_object(config.data)
    except OmegaConfBaseException:  # it is among the swept options
        return "sweep"
    return source.title() if isinstance(source, DataSource) else "sweep"
