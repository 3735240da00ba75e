"""The parent run of a sweep: begun before the first job, summed up after the last."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import ClassVar

from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import MissingMandatoryValue

from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.tracking.run import PARENT_RUN_VARIABLE


class ParentRun(Callback):
    """Hydra callback that begins the parent run and tells the jobs, by environment, its id.

    It also makes the database, which several jobs starting at once must not race for.
    """

    uri: ClassVar[str | None] = None  # where the parent run is, in the process that began it

    def on_multirun_start(self, config: DictConfig, **kwargs: object) -> None:  # noqa: ARG002
        """Begin the parent run."""
        from outliers_bench.tracking.recorder import recorder
        from outliers_bench.tracking.sweep import start_parent

        uri = str(config.tracking.uri)
        os.environ[PARENT_RUN_VARIABLE] = recorder(uri).call(
            start_parent,
            config.tracking.experiment or _data_name(config),
            overrides=list(config.hydra.overrides.task),
        )
        ParentRun.uri = uri


@contextmanager
def recorded(uri: str, overrides: Sequence[str]) -> Iterator[None]:
    """Record a job of a sweep that is refused before its own run has begun, as a FAILED child.

    Parameters
    ----------
    uri : str
        Tracking URI.
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

            recorder(uri).call(record_failure, parent, overrides=overrides, error=error)
        raise


def finish(status: str | None = None) -> bool:
    """End the parent run, if this process has begun one.

    Parameters
    ----------
    status : str or None
        FINISHED, FAILED or KILLED; None lets the children decide.

    Returns
    -------
    bool
        Whether there was one.
    """
    if ParentRun.uri is None:
        return False
    from outliers_bench.tracking.recorder import recorder
    from outliers_bench.tracking.sweep import finish_parent

    parent = os.environ.pop(PARENT_RUN_VARIABLE)
    uri, ParentRun.uri = ParentRun.uri, None
    recorder(uri).call(finish_parent, parent, status)
    return True


def _data_name(config: DictConfig) -> str:
    """The data set's name, as far as it is known before any job has loaded it."""
    try:
        source = OmegaConf.to_object(config.data)
    except MissingMandatoryValue:  # it is among the swept options
        return "sweep"
    return source.title() if isinstance(source, DataSource) else "sweep"
