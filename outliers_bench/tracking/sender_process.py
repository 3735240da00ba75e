"""Process of a sender, started before Hydra and everything else is imported."""

from __future__ import annotations

import atexit
import os
import subprocess
import sys
from contextlib import suppress

spare: list[SenderProcess] = []  # started before the store was known


class SenderProcess:
    """A sender that was started by this process, and outlives it as long as it has work."""

    def __init__(self) -> None:
        # Has this process's path, which may contain a checkout. Only the end of its input and of
        # its work ends it: a signal to the whole group, as terminals and service managers send it,
        # must not keep it from ending the run.
        path = [entry for entry in sys.path if isinstance(entry, str)]
        code = (
            "import signal, sys\n"
            "for name in ('SIGINT', 'SIGTERM', 'SIGHUP'):\n"
            "    if hasattr(signal, name): signal.signal(getattr(signal, name), signal.SIG_IGN)\n"
            f"sys.path[:] = {path!r}\n"
            "from outliers_bench.tracking.sender import serve\n"
            "serve()"
        )
        # Only this process should profile its imports.
        env = {k: v for k, v in os.environ.items() if k != "PYTHONPROFILEIMPORTTIME"}
        # In a new session, so that closing the terminal affects this process only. Without this
        # process's output, so that nobody waits for it through a pipe.
        self._process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=env,
            start_new_session=True,
        )
        self.pid = self._process.pid

    @property
    def is_alive(self) -> bool:
        """True if the process is still running."""
        return self._process.poll() is None

    def tell(self, message: str = "") -> None:
        """Send a line, which wakes the sender; the first one names the store."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        with suppress(OSError, ValueError):  # it has ended
            self._process.stdin.write(f"{message}\n".encode())
            self._process.stdin.flush()

    def close(self) -> None:
        """Let the sender end once its work is done."""
        assert self._process.stdin is not None  # noqa: S101 - a pipe
        with suppress(OSError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End a sender that has no store yet, which may still be importing."""
        self._process.kill()
        self._process.wait()


def start_sender() -> None:
    """Start a sender for the first store that will be used."""
    sender = SenderProcess()
    spare.append(sender)
    atexit.register(lambda: sender.kill() if sender in spare else None)
