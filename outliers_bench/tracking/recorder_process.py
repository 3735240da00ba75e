"""Main loop of the recorder process: calls requested functions and ends open runs."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from importlib import import_module
from typing import TYPE_CHECKING, BinaryIO

from outliers_bench.errors import BenchError
from outliers_bench.tracking import process, runs
from outliers_bench.tracking.messages import GREETING, receive, send
from outliers_bench.tracking.recorder import RecorderError
from outliers_bench.tracking.store import open_client, prepare_import

if TYPE_CHECKING:
    from mlflow import MlflowClient

Hook = Callable[["MlflowClient"], object]

# Extended by `sweeps/`, a higher room, when it is imported in this process. After the first call of
# one of `work_functions`, `after_first_begin` is called once.
work_functions: list[Callable[..., object]] = [runs.create_run]
after_first_begin: list[Hook] = []
after_run: list[Hook] = []
at_exit: list[Hook] = [runs.kill_open_runs]

_NICENESS = 19  # must not disturb what the other process measures


def serve(worker: int, extensions: Sequence[str] = ()) -> None:
    """Answer requests from standard input on standard output until the input ends.

    The first message has the tracking URI and the environment. When the input ends, runs and
    sweeps that were created here and not ended are ended as KILLED.

    Parameters
    ----------
    worker : int
        Id of the process whose work is recorded.
    extensions : sequence of str
        Modules to import, which may extend the lists above.
    """
    process.set_worker(worker)
    requests, answers = sys.stdin.buffer, _redirect_stdout()
    with suppress(OSError):  # the other process was killed; pending requests are still done
        answers.write(GREETING)
        answers.flush()
    with suppress(AttributeError, OSError):
        os.nice(_NICENESS)
    _import_mlflow()
    for module in extensions:
        import_module(module)
    opening = receive(requests)
    if opening is None:
        return
    uri, environment = pickle.loads(opening)  # noqa: S301
    os.environ.update(environment)
    client: MlflowClient | None = None
    hooks_called = False
    with suppress(OSError):  # the other process is gone
        while (request := receive(requests)) is not None:
            try:
                function, args, kwargs = pickle.loads(request)  # noqa: S301
                client = client or open_client(uri)
                answer = pickle.dumps((True, function(client, *args, **kwargs)))
            except Exception as error:
                answer = pickle.dumps((False, _to_bench_error(error)))
            send(answers, answer)
            if client and not hooks_called and function in work_functions:
                hooks_called = True
                _call(after_first_begin, client)  # after the answer, so nothing waits for it
            if client and function is runs.end_run:
                _call(after_run, client)  # the next job does not wait for it either
    if client is not None:
        _call(at_exit, client)
    os._exit(0)  # a regular exit with thousands of modules is slow, and a caller may be waiting


def _call(hooks: Sequence[Hook], client: MlflowClient) -> None:
    for hook in hooks:
        hook(client)


def _import_mlflow() -> None:
    """Import MLflow and its database layer, if possible without pandas.

    MLflow works without pandas, as mlflow-skinny shows, and is imported half a second faster. The
    recorder needs no data frames.
    """
    prepare_import()
    gc.disable()
    sys.modules["pandas"] = None  # type: ignore[assignment]
    with suppress(ImportError):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    del sys.modules["pandas"]
    gc.enable()
    gc.freeze()  # imported modules stay, so the collector can skip them


def _redirect_stdout() -> BinaryIO:
    """Reserve standard output for answers; the output of libraries goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    target = sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_WRONLY)
    os.dup2(target, sys.stdout.fileno())
    return answers


def _to_bench_error(error: Exception) -> BenchError:
    """Convert an error to one that can be unpickled without MLflow, with the traceback as note."""
    if type(error) is BenchError:
        return error
    message = " ".join(str(error).split())
    converted = RecorderError(f"recording in MLflow failed: {type(error).__name__}: {message}")
    converted.add_note("".join(traceback.format_exception(error)))
    return converted
