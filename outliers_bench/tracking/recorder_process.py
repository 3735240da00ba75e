"""The recording process's own side: call what is asked for, and end what is left open."""

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

# What `sweeps/`, a room above, adds when it is imported here.
work_functions: list[Callable[..., object]] = [runs.create_run]
after_first_begin: list[Hook] = []
after_run: list[Hook] = []
at_exit: list[Hook] = [runs.kill_open_runs]

_NICENESS = 19  # what the other process measures meanwhile must not suffer


def serve(worker: int, extensions: Sequence[str] = ()) -> None:
    """Answer questions from standard input on standard output until their end.

    The first message is the tracking URI with the environment. The end comes without a word: runs
    and sweeps that were begun here and never ended are ended as KILLED.

    Parameters
    ----------
    worker : int
        Id of the process whose work is recorded.
    extensions : sequence of str
        Modules to import that add to the lists above.
    """
    process.set_worker(worker)
    requests, answers = sys.stdin.buffer, _redirect_stdout()
    with suppress(OSError):  # killed meanwhile; what was asked before is done all the same
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
    looked = False
    with suppress(OSError):  # nobody listens any more
        while (question := receive(requests)) is not None:
            try:
                function, args, kwargs = pickle.loads(question)  # noqa: S301
                client = client or open_client(uri)
                answer = pickle.dumps((True, function(client, *args, **kwargs)))
            except Exception as error:
                answer = pickle.dumps((False, _to_bench_error(error)))
            send(answers, answer)
            if client and not looked and function in work_functions:
                looked = True
                _call(after_first_begin, client)  # now that nobody waits for it
            if client and function is runs.end_run:
                _call(after_run, client)  # the next job is at work and does not wait, either
    if client is not None:
        _call(at_exit, client)
    os._exit(0)  # taking thousands of modules down takes long, and somebody may be waiting


def _call(hooks: Sequence[Hook], client: MlflowClient) -> None:
    for hook in hooks:
        hook(client)


def _import_mlflow() -> None:
    """Import MLflow with what a database needs, without pandas if it can be had without.

    MLflow does without it, as mlflow-skinny shows, and is there half a second earlier. Nothing that
    a recorder is asked for needs a data frame.
    """
    prepare_import()
    gc.disable()
    sys.modules["pandas"] = None  # type: ignore[assignment]
    with suppress(ImportError):
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    del sys.modules["pandas"]
    gc.enable()
    gc.freeze()  # what was imported stays: no need to look through it again


def _redirect_stdout() -> BinaryIO:
    """Keep standard output for answers; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    elsewhere = sys.stderr.fileno() if sys.stderr else os.open(os.devnull, os.O_WRONLY)
    os.dup2(elsewhere, sys.stdout.fileno())
    return answers


def _to_bench_error(error: Exception) -> BenchError:
    """An error that can be unpickled without MLflow; the rest of the story as its note."""
    if type(error) is BenchError:
        return error
    said = " ".join(str(error).split())
    told = RecorderError(f"MLflow could not record this: {type(error).__name__}: {said}")
    told.add_note("".join(traceback.format_exception(error)))
    return told
