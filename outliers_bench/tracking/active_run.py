"""The MLflow run that is currently recorded, from its start to its final status."""

from __future__ import annotations

import logging
import shlex
import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from omegaconf import OmegaConf

from outliers_bench.config import published_tags
from outliers_bench.models.precision import precision_label
from outliers_bench.result import RunHandle
from outliers_bench.tracking import provenance
from outliers_bench.tracking.backlog import backlog
from outliers_bench.tracking.datasets import split_datasets
from outliers_bench.tracking.params import describe_method, flatten, model_family, to_mapping
from outliers_bench.tracking.recorder import SHUTDOWN_TIMEOUT, Recorder, get_recorder
from outliers_bench.tracking.runs import RunStart, create_run, end_run, failure_line, log_run
from outliers_bench.types import Split

if TYPE_CHECKING:
    from mlflow import MlflowClient

    from outliers_bench.config.schema import Config

P = ParamSpec("P")
T = TypeVar("T")
_log = logging.getLogger(__name__)


class ActiveRun:
    """A run that is being recorded, by a process that may still be starting.

    Parameters
    ----------
    recorder : Recorder
        The process that records it.
    handle : Future of RunHandle
        The run, once it is created in MLflow.
    overrides : sequence of str
        Arguments of the command line.
    """

    def __init__(
        self, recorder: Recorder, handle: Future[RunHandle], overrides: Sequence[str]
    ) -> None:
        self._recorder = recorder
        self._handle = handle
        self.overrides = tuple(overrides)
        self._pending: list[Future[None]] = []
        self.logged_pictures: list[str] = []
        """Names of the files logged under `pictures`."""

    def confirm(self) -> RunHandle:
        """Wait until the run is created in MLflow.

        Raises
        ------
        BenchError
            If it cannot be recorded.
        """
        return self._handle.result()

    def log(self, *, artifacts: str, tags: Mapping[str, str], metrics: Mapping[str, float]) -> None:
        """Log artifacts, tags and metrics; see `runs.log_run`."""
        self.logged_pictures += sorted(path.name for path in Path(artifacts, "pictures").glob("*"))
        self._submit_log(artifacts, tags, metrics).result()

    def log_final(
        self, *, artifacts: str, tags: Mapping[str, str], metrics: Mapping[str, float]
    ) -> None:
        """Log the results of the run and remove the folder `artifacts`.

        In a sweep, the next job may start meanwhile; see `Backlog`.
        """
        try:
            logged = self._submit_log(artifacts, tags, metrics)
        except BaseException:
            shutil.rmtree(artifacts, ignore_errors=True)
            raise
        logged.add_done_callback(lambda _: shutil.rmtree(artifacts, ignore_errors=True))
        self._pending.append(logged)
        if not backlog.is_open:
            logged.result()

    def _submit_log(
        self, artifacts: str, tags: Mapping[str, str], metrics: Mapping[str, float]
    ) -> Future[None]:
        run_id = self.confirm().run_id
        return self._recorder.submit(
            log_run, run_id, artifacts=artifacts, tags=tags, metrics=metrics
        )

    def submit(
        self,
        function: Callable[Concatenate[MlflowClient, str, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Queue a call in the recorder with the client and the run's id as first arguments.

        Waits only until the run is created; see `Recorder.submit`.
        """
        run_id = self.confirm().run_id
        return self._recorder.submit(function, run_id, *args, **kwargs)

    def end(self, status: str, failure: str | None = None, *, timeout: float | None = None) -> None:
        """End the run; see `runs.end_run`. Raises `TimeoutError` after `timeout` seconds."""
        run_id = self._handle.result(timeout).run_id
        self._recorder.submit(end_run, run_id, status, failure).result(timeout)

    def finish(self) -> None:
        """End the run as FINISHED; in a sweep, do not wait but add it to the backlog."""
        if not backlog.is_open:
            self.end("FINISHED")
            return
        ended = self._recorder.submit(end_run, self.confirm().run_id, "FINISHED")
        backlog.add(self.overrides, [*self._pending, ended])


@contextmanager
def start_run(
    config: Config,
    split: Split,
    *,
    identity: str,
    run_name: str | None = None,
    parent: Any = None,  # noqa: ANN401 - what `parent_run` gives
    overrides: Sequence[str] = (),
    tags: Mapping[str, str] | None = None,
) -> Iterator[ActiveRun]:
    """Record a run until the end of the `with` block.

    Does not wait for MLflow: call `confirm` before long work. The run ends as FINISHED, as FAILED
    with the exception's type and message in the tag `failure`, or as KILLED after Ctrl-C, SIGTERM,
    or if this process disappears. Exceptions are raised again.

    Parameters
    ----------
    config : Config
        The resolved config, which has the tracking URI.
    split : Split
        The data set of the run.
    identity : str
        Digest of everything the scores depend on; see `find_finished`.
    run_name : str or None
        Name in the UI; None describes the method.
    parent : str, Future of str, or None
        Id of the sweep's parent run; see `parent_run`.
    overrides : sequence of str
        Arguments of the command line, recorded so that the run can be repeated.
    tags : mapping of str to str, optional
        Additional tags.

    Yields
    ------
    ActiveRun

    Raises
    ------
    BenchError
        As `open_client`.
    """
    values = to_mapping(config)
    tracking = values["tracking"]
    all_tags = _tags(config, split, identity, overrides) | dict(tags or {})
    all_tags["overrides"] = shlex.join(overrides)
    start = RunStart(
        experiment=tracking["experiment"] or split.name,
        name=run_name or str(describe_method(config)),
        tags=all_tags,
        params=flatten(values),
        config=OmegaConf.to_yaml(OmegaConf.create(values)),
        datasets=split_datasets(split, values["data"], address=config.data.source_url()),
    )
    recorder = get_recorder(tracking["uri"])
    run = ActiveRun(recorder, recorder.submit(create_run, start, parent), overrides)
    try:
        with _raise_on_sigterm():
            yield run
            run.confirm()
    except (KeyboardInterrupt, SystemExit) as error:
        _end_failed(run, "KILLED", error)
        raise
    except BaseException as error:
        _end_failed(run, "FAILED", error)
        raise
    run.finish()


def _tags(config: Config, split: Split, identity: str, overrides: Sequence[str]) -> dict[str, str]:
    method = describe_method(config)
    row = config.published
    precision = precision_label(config.model, config.engine, config.cache.path)
    if row.table and (changes := published_tags.changes(overrides, precision=precision)):
        published_row = f"the row {row.row} of {row.table}"
        _log.warning("not recorded as %s, which differs in %s", published_row, " ".join(changes))
    return {
        "kind": "run",
        "family": model_family(config.model),
        **published_tags.tags(row, overrides, precision=precision),
        "data": split.name,
        "model": method.model,
        "variant": method.variant,
        "reduction": method.reduction,
        "index": method.index,
        "similarity": method.similarity,
        "rerank": method.rerank,
        "split_fingerprint": split.fingerprint,
        "identity": identity,
        **{f"version.{name}": value for name, value in provenance.main_versions().items()},
        **{f"machine.{name}": value for name, value in provenance.machine().items()},
    }


def _end_failed(run: ActiveRun, status: str, error: BaseException) -> None:
    """End a run that failed, without hiding its error behind one of MLflow."""
    try:
        run.end(status, failure_line(error), timeout=SHUTDOWN_TIMEOUT)
    except TimeoutError:
        _log.warning("MLflow is not responding; the run ends as KILLED once it responds")
    except Exception as tracking_error:
        if tracking_error is not error:  # otherwise the run was never created
            _log.warning("could not end the run as %s in MLflow: %s", status, tracking_error)


@contextmanager
def _raise_on_sigterm() -> Iterator[None]:
    """Raise SystemExit on SIGTERM, unless a launcher already handles the signal."""

    def stop(signum: int, frame: FrameType | None) -> None:  # noqa: ARG001
        raise SystemExit(128 + signum)

    main = threading.current_thread() is threading.main_thread()
    if not main or signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
        yield
        return
    signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
