"""SIGTERM and SIGHUP end a command as Ctrl-C does, so that what is being recorded is ended.

A cluster sends the first when the time is up, a terminal the second when it is closed.
"""

from __future__ import annotations

import signal
import threading
from types import FrameType

_received = int(signal.SIGINT)


def end_like_interrupt() -> None:
    """Let SIGTERM and SIGHUP do what SIGINT does; those that are ignored, as by nohup, stay so."""
    if threading.current_thread() is not threading.main_thread():
        return
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)  # Windows has only the first
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _interrupt)


def exit_code() -> int:
    """Return the exit code after an interruption, as shells report it: 130 after Ctrl-C."""
    return 128 + _received


def cause() -> str:
    """Return what interrupted, for a message."""
    if _received == signal.SIGINT:
        return "interrupted"
    return f"ended by {signal.Signals(_received).name}"


def _interrupt(signum: int, frame: FrameType | None) -> None:
    global _received  # noqa: PLW0603
    _received = signum
    handler = signal.getsignal(signal.SIGINT)  # that of the crawler, or of Python
    (handler if callable(handler) else signal.default_int_handler)(signum, frame)
