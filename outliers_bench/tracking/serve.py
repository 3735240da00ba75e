"""The recording process's own side: call what is asked for, and end what is left open."""

from __future__ import annotations

import gc
import os
import pickle
import sys
import traceback
from contextlib import suppress
from typing import BinaryIO

from outliers_bench.errors import BenchError
from outliers_bench.tracking import entries, sweep
from outliers_bench.tracking.recorder import RecorderError
from outliers_bench.tracking.store import open_client, prepare_import


def serve() -> None:
    """Answer questions from standard input on standard output until their end.

    The first message is the tracking URI. The end comes without a word, where the other process
    is gone: runs it has left open are ended as KILLED.
    """
    requests, answers = sys.stdin.buffer, _own_stdout()
    _import_mlflow()
    try:
        uri = pickle.load(requests)  # noqa: S301
    except EOFError:
        return
    client = None
    while True:
        try:
            function, args, kwargs = pickle.load(requests)  # noqa: S301
        except EOFError:
            break
        try:
            client = client or open_client(uri)
            answer = True, function(client, *args, **kwargs)
        except Exception as error:
            answer = False, _portable(error)
        pickle.dump(answer, answers)
        answers.flush()
    if client is not None:
        entries.abandon(client)
        sweep.abandon(client)


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


def _own_stdout() -> BinaryIO:
    """Keep standard output for answers; what libraries print goes to standard error."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return answers


def _portable(error: Exception) -> BenchError:
    """An error that can be unpickled without MLflow; the rest of the story as its note."""
    if isinstance(error, BenchError):
        return error
    said = " ".join(str(error).split())
    told = RecorderError(f"MLflow could not record this: {type(error).__name__}: {said}")
    told.add_note("".join(traceback.format_exception(error)))
    return told
