"""One run in MLflow: begun with everything that is known before, ended with how it went."""

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

from outliers_bench.config import published
from outliers_bench.models.precision import precision_label
from outliers_bench.result import RunHandle
from outliers_bench.tracking import provenance
from outliers_bench.tracking.backlog import backlog
from outliers_bench.tracking.datasets import split_datasets
from outliers_bench.tracking.params import to_mapping, describe_method, model_family, flatten
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
        Where it is recorded.
    begun : Future of RunHandle
        The run, once it has begun.
    overrides : sequence of str
        What stood on the command line.
    """

    def __init__(
        self, get_recorder: Recorder, begun: Future[RunHandle], overrides: Sequence[str]
    ) -> None:
        self._recorder = get_recorder
        self._begun = begun
        self.overrides = tuple(overrides)
        self._last: list[Future[None]] = []
        self.logged_pictures: list[str] = []
        """Names of the files that were noted under `pictures`."""

    def confirm(self) -> RunHandle:
        """Wait until the run has begun.

        Raises
        ------
        BenchError
            If nothing can be recorded there.
        """
        return self._begun.result()

    def log(
        self, *, artifacts: str, tags: Mapping[str, str], metrics: Mapping[str, float]
    ) -> None:
        """Take down what the run found; see `entries.note`."""
        self.logged_pictures += sorted(path.name for path in Path(artifacts, "pictures").glob("*"))
        self._note(artifacts, tags, metrics).result()

    def log_final(
        self, *, artifacts: str, tags: Mapping[str, str], metrics: Mapping[str, float]
    ) -> None:
        """Take down what the run found in the end, and remove the folder `artifacts`.

        In a sweep the next job may begin meanwhile; see `Backlog`.
        """
        try:
            noted = self._note(artifacts, tags, metrics)
        except BaseException:
            shutil.rmtree(artifacts, ignore_errors=True)
            raise
        noted.add_done_callback(lambda _: shutil.rmtree(artifacts, ignore_errors=True))
        self._last.append(noted)
        if not backlog.is_open:
            noted.result()

    def _note(
        self, artifacts: str, tags: Mapping[str, str], metrics: Mapping[str, float]
    ) -> Future[None]:
        run_id = self.confirm().run_id
        return self._recorder.submit(log_run, run_id, artifacts=artifacts, tags=tags, metrics=metrics)

    def submit(
        self,
        function: Callable[Concatenate[MlflowClient, str, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Have a function called in the recorder with the client and the run's id, in turn.

        Waits only for the run to have begun; see `Recorder.submit`.
        """
        run_id = self.confirm().run_id
        return self._recorder.submit(function, run_id, *args, **kwargs)

    def end(self, status: str, failure: str | None = None, *, timeout: float | None = None) -> None:
        """End the run; see `entries.end`. Raises `TimeoutError` after so many seconds."""
        run_id = self._begun.result(timeout).run_id
        self._recorder.submit(end_run, run_id, status, failure).result(timeout)

    def finish(self) -> None:
        """End the run as FINISHED, or in a sweep ask for that and leave it to the backlog."""
        if not backlog.is_open:
            self.end("FINISHED")
            return
        ended = self._recorder.submit(end_run, self.confirm().run_id, "FINISHED")
        backlog.add(self.overrides, [*self._last, ended])


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
    """Record a run from here to the end of the `with` block.

    Does not wait for MLflow: what takes long should `confirm` first that it will be recorded.
    Ends FINISHED, or FAILED with the exception's type and message in the tag `failure`, or KILLED
    after Ctrl-C, SIGTERM, and where this process vanishes. Whatever was raised is raised again.

    Parameters
    ----------
    config : Config
        The resolved config; says where to record.
    split : Split
        What the run is about.
    identity : str
        Digest of everything the numbers depend on; see `find_finished`.
    run_name : str or None
        Name in the UI; None describes the method.
    parent : str, Future of str, or None
        The id of the sweep's run; see `parent_run`.
    overrides : sequence of str
        What stood on the command line, to say how the run can be repeated.
    tags : mapping of str to str, optional
        More tags.

    Yields
    ------
    Recording

    Raises
    ------
    BenchError
        What `open_client` raises.
    """
    values = to_mapping(config)
    tracking = values["tracking"]
    all_tags = _tags(config, split, identity, overrides) | dict(tags or {})
    all_tags["overrides"] = shlex.join(overrides)
    beginning = RunStart(
        experiment=tracking["experiment"] or split.name,
        name=run_name or str(describe_method(config)),
        tags=all_tags,
        params=flatten(values),
        config=OmegaConf.to_yaml(OmegaConf.create(values)),
        datasets=split_datasets(split, values["data"], address=config.data.address()),
    )
    process = get_recorder(tracking["uri"])
    recording = ActiveRun(process, process.submit(create_run, beginning, parent), overrides)
    try:
        with _sigterm_raises():
            yield recording
            recording.confirm()
    except (KeyboardInterrupt, SystemExit) as error:
        _end_failed(recording, "KILLED", error)
        raise
    except BaseException as error:
        _end_failed(recording, "FAILED", error)
        raise
    recording.finish()


def _tags(config: Config, split: Split, identity: str, overrides: Sequence[str]) -> dict[str, str]:
    method = describe_method(config)
    row = config.published
    precision = precision_label(config.model, config.engine, config.cache.path)
    if row.table and (changes := published.changes(overrides, precision=precision)):
        told = f"the row {row.row} of {row.table}"
        _log.warning("not recorded as %s: %s is none of its", told, " ".join(changes))
    return {
        "kind": "run",
        "family": model_family(config.model),
        **published.tags(row, overrides, precision=precision),
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


def _end_failed(recording: ActiveRun, status: str, error: BaseException) -> None:
    """End a run that has failed; what goes wrong in that must not hide why it failed."""
    try:
        recording.end(status, failure_line(error), timeout=SHUTDOWN_TIMEOUT)
    except TimeoutError:
        _log.warning("MLflow does not answer; the run ends as KILLED once it does")
    except Exception as trouble:
        if trouble is not error:  # else: it could not be begun
            _log.warning("MLflow could not be told that a run is %s: %s", status, trouble)


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Let SIGTERM unwind the stack; leave it to a launcher that handles it already."""

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
