"""MLflow in a separate process, so that it is imported in parallel with the work.

Importing MLflow and its database layer takes three seconds, longer than a whole run with cached
features. Threads would not help, because imports hold the GIL. The process starts first, is ready
when there is something to record, and outlives a killed run just long enough to end it in MLflow.
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
SHUTDOWN_TIMEOUT = 10.0  # seconds to wait for the process at the end

_RECORDERS: dict[str, Recorder] = {}  # by tracking URI
_EXTENSIONS: list[str] = []
_SPARE: list[Recorder] = []  # started before the URI was known


def start_recorder(*extensions: str) -> None:
    """Start a recorder process for the first store that will be used.

    Parameters
    ----------
    *extensions : str
        Modules that this and all later recorder processes import; see `recorder_process`.
    """
    _EXTENSIONS[:] = extensions
    _SPARE.append(Recorder())


def get_recorder(uri: str) -> Recorder:
    """Return the recorder of a tracking store, starting it if necessary.

    Parameters
    ----------
    uri : str
        MLflow tracking URI.

    Raises
    ------
    BenchError
        If `check_uri` rejects it.
    """
    check_uri(uri)
    uri = resolve_uri(uri)
    recorder = _RECORDERS.get(uri)
    if recorder is None or not recorder.is_alive:
        recorder = _RECORDERS[uri] = _SPARE.pop() if _SPARE else Recorder()
        recorder.open(uri)
    return recorder


class Recorder:
    """A process that calls functions with an MLflow client, one after the other."""

    def __init__(self) -> None:
        # Has this process's path, which may contain a checkout, and its name, which MLflow's
        # Source column shows. It ends at the end of its input only: a SIGTERM to the whole group,
        # as service managers send it, must not prevent it from ending the run.
        path = [entry for entry in sys.path if isinstance(entry, str)]
        code = (
            "import signal, sys\n"
            "for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\n"
            "    if hasattr(signal, name): signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
            f"sys.path[:] = {path!r}; sys.argv[:] = {getattr(sys, 'argv', [''])[:1]!r}\n"
            f"from outliers_bench.tracking.recorder_process import serve\n"
            f"serve({os.getpid()}, {_EXTENSIONS!r})"
        )
        # Only this process should profile its imports.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPROFILEIMPORTTIME"}
        # In a new session, so that closing the terminal affects this process only.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            start_new_session=True,
        )
        self._opened = self._greeted = False
        # One thread does all communication, so that an interrupt cannot break a message. It is a
        # daemon, so that a server that hangs does not block the exit.
        self._requests: SimpleQueue[tuple[Future[Any], object] | None] = SimpleQueue()
        self._thread = Thread(target=self._process_requests, name="recorder", daemon=True)
        self._thread.start()
        atexit.register(self.close)

    @property
    def is_alive(self) -> bool:
        """True if the process is still running."""
        return self._process.poll() is None

    def open(self, uri: str) -> None:
        """Set the store by its absolute tracking URI; called once, before anything else."""
        self._opened = True
        self._requests.put((Future(), (uri, dict(os.environ))))

    def submit(
        self,
        function: Callable[Concatenate[MlflowClient, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> Future[T]:
        """Queue a call of a function in the process, with the client as its first argument.

        Parameters
        ----------
        function : callable
            Function of a module that both processes can import.
        *args, **kwargs
            Other arguments. Like the result, they must not need MLflow to be unpickled. The future
            of an earlier call is replaced by its result.

        Returns
        -------
        Future
            Raises a `BenchError` of the function as it is, any other failure as `RecorderError`.
        """
        future: Future[T] = Future()
        self._requests.put((future, (function, args, kwargs)))
        return future

    def call(
        self,
        function: Callable[Concatenate[MlflowClient, P], T],
        *args: P.args,
        **kwargs: P.kwargs,
    ) -> T:
        """Call a function as `submit` does, and wait for the result."""
        return self.submit(function, *args, **kwargs).result()

    def close(self) -> None:
        """End the process once all requests are done."""
        atexit.unregister(self.close)
        if not self._opened:  # no requests, so it can be killed even while importing
            self._process.kill()
        self._requests.put(None)
        self._thread.join(SHUTDOWN_TIMEOUT)
        # After the timeout it ends by itself, because its input ends with this process.
        if not self._thread.is_alive():
            with suppress(subprocess.TimeoutExpired):
                self._process.communicate(timeout=SHUTDOWN_TIMEOUT)

    def _process_requests(self) -> None:
        while (request := self._requests.get()) is not None:
            future, message = request
            try:
                future.set_result(self._exchange(_resolve_futures(message)))
            except Exception as error:
                future.set_exception(error)

    def _exchange(self, message: object) -> Any:  # noqa: ANN401
        requests = cast(BinaryIO, self._process.stdin)
        answers = cast(BinaryIO, self._process.stdout)
        try:
            send(requests, pickle.dumps(message))
            if not self._greeted:  # the message of `open`, which has no answer
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
                f"the MLflow recorder process has ended (exit {self._process.wait()}); features "
                "computed so far are cached"
            )
        done, value = pickle.loads(answer)  # noqa: S301
        if done:
            return value
        raise value


def _resolve_futures(message: Any) -> Any:  # noqa: ANN401 - what is pickled
    """Replace futures in a request by their results; raises if an earlier request failed."""
    if not callable(message[0]):
        return message
    function, args, kwargs = message
    return function, [_result(value) for value in args], {k: _result(v) for k, v in kwargs.items()}


def _result(value: Any) -> Any:  # noqa: ANN401
    return value.result() if isinstance(value, Future) else value


class RecorderError(BenchError):
    """Unexpected failure of MLflow or of the recorder process."""
