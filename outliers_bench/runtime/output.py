"""Standard output and error that never end the work.

Characters that a terminal or a file cannot take are replaced, and those that act on it are shown.
What cannot be written, to a full disk or a closed pipe, is dropped and reported at the end: a run
is recorded even then.
"""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from outliers_bench.runtime.visible_text import visible_on_screen

BROKEN_PIPE = 141  # 128 + SIGPIPE, as shells report it
NOT_WRITTEN = 2


class _Output(io.FileIO):
    """A file descriptor whose first failure to write is remembered, and ends the writing."""

    problem: OSError | None = None

    def write(self, data: bytes) -> int | None:  # type: ignore[override]
        """Write bytes, or drop them after a failure."""
        if self.problem is None:
            try:
                return super().write(data)
            except OSError as error:
                self.problem = error
        return len(memoryview(data).cast("B"))


class _Screen(io.TextIOWrapper):
    """A stream that shows what would change the terminal or the order of letters."""

    def write(self, text: str) -> int:
        super().write(visible_on_screen(text))
        return len(text)


@contextmanager
def guarded_output() -> Iterator[None]:
    """Guard standard output and error for a whole command.

    Exits with `BROKEN_PIPE` if nobody reads standard output any more, as with `| head`, and with
    `NOT_WRITTEN` and one line on standard error if it could not be written, unless the command
    fails for another reason. In tests and notebooks, where the streams are not files, it changes
    nothing.
    """
    _reopen_closed()
    before = sys.stdout, sys.stderr
    guard_worker()
    guarded = sys.stdout
    try:
        yield
    except SystemExit as error:
        if error.code not in (None, 0):
            raise
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        sys.stdout, sys.stderr = before
    if problem := _problem(guarded):
        if problem.errno == errno.EPIPE:
            sys.exit(BROKEN_PIPE)
        reason = (problem.strerror or str(problem)).lower()
        print(f"error: standard output: {reason}; what it had to show is lost", file=sys.stderr)
        sys.exit(NOT_WRITTEN)


def guard_worker() -> None:
    """Guard the streams of a process that works for a command, which reports the problems."""
    sys.stdout, sys.stderr = _guard(sys.stdout, "replace"), _guard(sys.stderr, "backslashreplace")


def _reopen_closed() -> None:
    """Open the null device where a standard stream is closed, as by `>&-`.

    The next file to be opened, such as a database, would else get its descriptor, and the messages
    of C libraries.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free descriptor, this one
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(descriptor, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def _guard(stream: TextIO, errors: str) -> TextIO:
    raw = getattr(getattr(stream, "buffer", None), "raw", getattr(stream, "buffer", None))
    if type(raw) is not io.FileIO or not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    output = _Output(raw.fileno(), "w", closefd=False)
    is_buffered = not isinstance(stream.buffer, io.RawIOBase)
    return _Screen(
        io.BufferedWriter(output) if is_buffered else output,  # type: ignore[type-var]
        encoding=stream.encoding,
        errors=errors,
        line_buffering=stream.line_buffering,
        write_through=stream.write_through,
    )


def _problem(stream: TextIO) -> OSError | None:
    buffer = getattr(stream, "buffer", None)
    return getattr(getattr(buffer, "raw", buffer), "problem", None)
