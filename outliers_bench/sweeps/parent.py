"""Parent run of a sweep, started before the first job and summarized after the last."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar, cast

from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobReturn
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from hydra.types import RunMode
from omegaconf import DictConfig, ListConfig, OmegaConf, read_write
from omegaconf.errors import OmegaConfBaseException

from outliers_bench.config import published_tags
from outliers_bench.config.hydra_errors import exit_with_error
from outliers_bench.config.shared_compositions import compose_once
from outliers_bench.config.text_options import as_typed, to_hydra
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.leakage.audited_splits import splits
from outliers_bench.sweeps.plugins import (
    configure_optuna_logging,
    decide_direction,
    in_parallel,
)
from outliers_bench.sweeps.space import Space, check_sweep
from outliers_bench.sweeps.validation_part import use_validation
from outliers_bench.tracking.outbox import SWEEP_VARIABLE, Box, current_sweep, now

_MODE = "hydra.mode="
_NO_BARS = "TTY_COMPATIBLE"  # variable that rich checks before it draws progress bars


class ParentRun(Callback):
    """Hydra callback that starts the parent run, and refuses a sweep none of whose jobs could run.

    The jobs find its box through an environment variable, so that any launcher works.
    """

    box: ClassVar[Box | None] = None  # of the sweep, in the process that started it
    sweeper: ClassVar[DictConfig | None] = None  # its options

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:  # noqa: ARG002
        """Start the parent run."""
        try:
            self._start(config)
        except (BenchError, HydraException, OmegaConfBaseException) as error:
            exit_with_error(error)  # Hydra would log an exception as a warning and continue

    def _start(self, config: DictConfig) -> None:
        splits.begin()
        _split_swept_text(config)
        space = Space.from_config(config)
        typed = as_typed(_words(config.hydra.overrides.task))
        share = use_validation(config, space)
        check_sweep(config, space)
        if in_parallel(config.hydra):
            os.environ[_NO_BARS] = "0"  # those of parallel jobs would overwrite each other
        else:
            compose_once(GlobalHydra.instance().config_loader())
        if "optuna" in config.hydra.sweeper._target_:
            configure_optuna_logging()
        from outliers_bench.config.schema import Cache
        from outliers_bench.sweeps.mlflow_parent import start_parent
        from outliers_bench.tracking.senders import store_of

        box = ParentRun.box = start_parent(
            *store_of(Cache(dir=str(config.cache.dir)).path, str(config.tracking.uri)),
            config.tracking.experiment or _data_name(config),
            overrides=typed,
            n_jobs=space.n_jobs,
            swept=space.sweeper_params,
            objective=config.objective,
            direction=decide_direction(config),
            validation=share,
        )
        ParentRun.sweeper = config.hydra.sweeper
        os.environ[SWEEP_VARIABLE] = str(box.path)

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: object) -> None:  # noqa: ARG002
        """Keep Hydra from printing the overrides of a failed job, as the job has printed them."""
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
    """Return the overrides that repeat the current job alone."""
    hydra = HydraConfig.get()
    overrides = as_typed(_words(hydra.overrides.task))
    # If an experiment file sets the mode, the same overrides would start the sweep again.
    by_file = not any(word.startswith(_MODE) for word in hydra.overrides.hydra)
    alone = f"{_MODE}{RunMode.RUN.name}"
    is_sweep = hydra.mode is RunMode.MULTIRUN and by_file
    return [*overrides, alone] if is_sweep or alone in sys.argv else overrides


def _words(node: object) -> list[str]:
    """Return overrides as Hydra has them, without replacing `${...}` in them."""
    return cast("list[str]", OmegaConf.to_container(cast("ListConfig", node), resolve=False))


def _split_swept_text(config: DictConfig) -> None:
    """Let commas separate several values of text options, also where a file starts the sweep."""
    params = config.hydra.sweeper.get("params") or {}
    words = [f"{key}={value}" for key, value in params.items()]
    with read_write(config):
        if not any(word.startswith(_MODE) for word in config.hydra.overrides.hydra):
            typed = as_typed(_words(config.hydra.overrides.task))
            config.hydra.overrides.task = to_hydra(typed, multirun=True)
        for key, word in zip(list(params), to_hydra(words, multirun=True), strict=True):
            params[key] = word.partition("=")[2]


@contextmanager
def record_early_failure(cfg: DictConfig, overrides: Sequence[str]) -> Iterator[None]:
    """Record a job of a sweep that fails before its run has started as a FAILED child."""
    try:
        yield
    except Exception as error:
        if (sweep := current_sweep()) is not None:
            from outliers_bench.tracking.active_run import record_failure

            tags = {"data": _data_name(cfg), **published_tags.tags(cfg.published, overrides)}
            record_failure(sweep, overrides=overrides, error=error, tags=tags)
        raise


def has_begun() -> bool:
    """Check whether this process has started a sweep and not ended it."""
    return ParentRun.box is not None


def run_winner(start: Callable[[], None], *, after_failure: bool = False) -> None:
    """Run the winner of a sweep with a validation part on the other queries; see `winner`.

    Parameters
    ----------
    start : callable
        Starts the command in `sys.argv`.
    after_failure : bool
        Whether the sweeper has raised an error: as it does at the end, after failed jobs, but also
        before all jobs have run, in which case there is no winner yet.
    """
    if (box := ParentRun.box) is None or ParentRun.sweeper is None:
        return
    from outliers_bench.sweeps import winner
    from outliers_bench.sweeps.mlflow_parent import count_unfinished
    from outliers_bench.sweeps.trials import expected_jobs

    if after_failure and count_unfinished(box)[1] < expected_jobs(box):
        return
    winner.run_winner(box, ParentRun.sweeper, start)


def finish(status: str | None = None) -> int | None:
    """End the parent run, if this process has started one; see `finish_parent` for the status.

    Returns
    -------
    int or None
        Number of jobs that did not finish; None without a sweep, or if it was refused before its
        first job, which leaves no run.
    """
    splits.end()  # also of a sweep that was refused after it began
    if (box := ParentRun.box) is None:
        return None
    from outliers_bench.sweeps.mlflow_parent import count_unfinished, discard_parent, finish_parent

    ParentRun.box = None
    os.environ.pop(SWEEP_VARIABLE, None)
    unfinished, n_jobs = count_unfinished(box)
    if status == "FAILED" and not n_jobs:
        box.add(discard_parent, last=True)
        return None
    box.add(finish_parent, last=True, status=status, time=now())
    return unfinished


def _data_name(config: DictConfig) -> str:
    """Return the name of the data set, as far as it is known before it is loaded."""
    try:
        source = OmegaConf.to_object(config.data)
    except OmegaConfBaseException:  # it is swept
        return "sweep"
    return source.title() if isinstance(source, DataSource) else "sweep"
