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
from concurrent.futures import Future
from contextlib import suppress
from queue import SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, BinaryIO, Concatenate, ParamSpec, TypeVar, cast

from outliers_bench.errors import BenchError
from outliers_bench.tracking.messages import GREETING, receive, send
from outliers_bench.tracking.store import check_uri, resolve_uri

if TYPE_CHECKING:
    from mlflow import MlflowClient

P = ParamSpec("P")
T = TypeVar("T")
SHUTDOWN_TIMEOUT = 10.0  # seconds to wait for it at the end

_RECORDERS: dict[str, Recorder] = {}  # by tracking URI
_EXTENSIONS: list[str] = []
_SPARE: list[Recorder] = []  # begun before the URI was known


def start_recorder(*extensions: str) -> None:
    """Start a process for the first store that will be asked for.

    Parameters
    ----------
    *extensions : str
        Modules that this and every later recorder process imports; see `recorder_process`.
    """
    _EXTENSIONS[:] = extensions
    _SPARE.append(Recorder())


def get_recorder(uri: str) -> Recorder:
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
        # Source column shows the other. Its one signal to end is the end of its input: SIGTERM to
        # the whole group, as service managers send it, must not keep it from ending the run.
        path = [entry for entry in sys.path if isinstance(entry, str)]
        code = (
            "import signal, sys\n"
            "for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\n"
            "    if hasattr(signal, name): signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
            f"sys.path[:] = {path!r}; sys.argv[:] = {getattr(sys, 'argv', [''])[:1]!r}\n"
            f"from outliers_bench.tracking.recorder_process import serve\n"
            f"serve({os.getpid()}, {_EXTENSIONS!r})"
        )
        # A profile of imports is asked of this process.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPROFILEIMPORTTIME"}
        # In a session of its own: a closed terminal reaches this process alone.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        self._opened = self._greeted = False
        # One thread does all the talking: an interrupt strikes between messages, never within. A
        # daemon, for nobody should wait at the end for a server that hangs.
        self._errands: SimpleQueue[tuple[Future[Any], object] | None] = SimpleQueue()
        self._talker = Thread(target=self._talk, name="recorder", daemon=True)
        self._talker.start()
        atexit.register(self.close)

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    def open(self, uri: str) -> None:
        """Say which store, an absolute tracking URI; once, before anything else."""
        self._opened = True
        self._errands.put((Future(), (uri, dict(os.environ))))

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
            Its other arguments; like its result, of types that need no MLflow to unpickle. The
            future of what was asked before stands for its result.

        Returns
        -------
        Future
            Raises a `BenchError` as the function did, and any other failure as `RecorderError`.
        """
        future: Future[T] = Future()
        self._errands.put((future, (function, args, kwargs)))
        return future

    def call(
        self,
        function: Callable[Concatenate[MlflowClient, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """`submit`, and wait for the result."""
        return self.submit(function, *args, **kwargs).result()

    def close(self) -> None:
        """Let the process end, once everything it was asked for is done."""
        atexit.unregister(self.close)
        if not self._opened:  # nothing was asked for: it may be killed while it is importing
            self._process.kill()
        self._errands.put(None)
        self._talker.join(SHUTDOWN_TIMEOUT)
        # Where that was not enough, it ends by itself: its input ends with this process.
        if not self._talker.is_alive():
            with suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=SHUTDOWN_TIMEOUT)

    def _talk(self) -> None:
        while (errand := self._errands.get()) is not None:
            future, message = errand
            try:
                future.set_result(self._ask(_resolve_futures(message)))
            except Exception as error:
                future.set_exception(error)

    def _ask(self, message: object) -> Any:  # noqa: ANN401
        requests = cast(BinaryIO, self._process.stdin)
        answers = cast(BinaryIO, self._process.stdout)
        try:
            send(requests, pickle.dumps(message))
            if not self._greeted:  # this was `open`, which has no answer
                self._greeted = True
                while not answers.readline().endswith(GREETING):
                    if self._process.poll() is not None:
                        break
                return None
            answer = receive(answers)
        except OSError:
            answer = None
        if answer is None:
            raise RecorderError(
                f"the process that records in MLflow has ended (exit {self._process.wait()}); "
                "features computed so far are kept"
            )
        done, value = pickle.loads(answer)  # noqa: S301
        if done:
            return value
        raise value


def _resolve_futures(message: Any) -> Any:  # noqa: ANN401 - what is pickled
    """What is asked, with the results of what was asked before; raises as that did."""
    if not callable(message[0]):
        return message
    function, args, kwargs = message
    return function, [_result(value) for value in args], {k: _result(v) for k, v in kwargs.items()}


def _result(value: Any) -> Any:  # noqa: ANN401
    return value.result() if isinstance(value, Future) else value


class RecorderError(BenchError):
    """MLflow failed where nothing could be known before, or its process is gone."""
