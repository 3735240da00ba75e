"""MLflow in a process of its own, so that its import takes place beside the work.

Importing MLflow and its database layer takes three seconds, longer than a whole run whose features
are stored. Threads would not help, since imports hold the interpreter's lock. A process does: it
starts first, is ready when there is something to record, and outlives a run that is killed just
long enough to say so in MLflow.
"""

from __future__ import annotations

import atexit
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar

from outliers_bench.errors import BenchError
from outliers_bench.tracking.store import check_uri, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

P = ParamSpec("P")
T = TypeVar("T")
_LAST_WORD = 10.0  # seconds to wait for a process that has nothing more to do

_RECORDERS: dict[str, Recorder] = {}  # by tracking URI
_SPARE: list[Recorder] = []  # begun before the URI was known


def begin() -> None:
    """Start a process for the first store that will be asked for."""
    _SPARE.append(Recorder())


def recorder(uri: str) -> Recorder:
    """The recorder of a tracking store, started if it is the first this process asks for.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.

    Raises
    ------
    BenchError
        If `check_uri` refuses it.
    """
    check_uri(uri)
    uri = resolve_uri(uri)
    found = _RECORDERS.get(uri)
    if found is None or not found.alive:
        found = _RECORDERS[uri] = _SPARE.pop() if _SPARE else Recorder()
        found.open(uri)
    return found


class Recorder:
    """A process that calls functions with an MLflow client, one after the other."""

    def __init__(self) -> None:
        # Of this process's own path and name, for a checkout may be on the one and MLflow's
        # Source column shows the other.
        code = (
            f"import sys; sys.path[:] = {sys.path!r}; sys.argv[:] = {sys.argv[:1]!r}; "
            f"from outliers_bench.tracking.serve import serve; serve()"
        )
        # A profile of imports is asked of this process.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPROFILEIMPORTTIME"}
        # In a session of its own: Ctrl-C and a closed terminal reach this process alone.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        # One thread does all the talking: an interrupt strikes between messages, never within.
        self._talker = ThreadPoolExecutor(1, thread_name_prefix="recorder")
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def open(self, uri: str) -> None:
        """Say which store, an absolute tracking URI; once, before anything else."""
        self._talker.submit(self._say, uri)

    def submit(
        self,
        function: Callable[Concatenate[MlflowClient, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Have a function called there, with the client as its first argument, in turn.

        Parameters
        ----------
        function : callable
            Of a module that both processes can import.
        *args, **kwargs
            Its other arguments; like its result, of types that need no MLflow to unpickle.

        Returns
        -------
        Future
            Raises a `BenchError` as the function did, and any other failure as `RecorderError`.
        """
        return self._talker.submit(self._ask, (function, args, kwargs))

    def call(
        self,
        function: Callable[Concatenate[MlflowClient, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """`submit`, and wait for the result."""
        return self.submit(function, *args, **kwargs).result()

    def close(self) -> None:
        """End the process, once everything it was asked for is done."""
        atexit.unregister(self.close)
        self._talker.shutdown()
        # Nothing is under way any more, so nothing is lost; it may still be importing.
        self._process.kill()
        self._process.communicate(timeout=_LAST_WORD)

    def _say(self, message: object) -> None:
        if self._process.stdin is not None:
            pickle.dump(message, self._process.stdin)
            self._process.stdin.flush()

    def _ask(self, question: object) -> Any:  # noqa: ANN401
        try:
            self._say(question)
            done, answer = pickle.load(self._process.stdout)  # type: ignore[arg-type]  # noqa: S301
        except (EOFError, OSError) as error:
            raise RecorderError(
                f"the process that records in MLflow has ended (exit {self._process.wait()}); "
                "features computed so far are kept"
            ) from error
        if done:
            return answer
        raise answer


class RecorderError(BenchError):
    """MLflow failed where nothing could be known before, or its process is gone."""
