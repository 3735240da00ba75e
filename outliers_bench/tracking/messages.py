"""What goes between the recorder and the process it records for: pickles behind their length."""

from __future__ import annotations

import struct
from typing import BinaryIO

GREETING = b"the recorder is ready\n"  # whatever stands before it on the pipe is not ours
_LENGTH = struct.Struct(">Q")


def send(pipe: BinaryIO, message: bytes) -> None:
    """Write a whole message."""
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes | None:
    """Read a whole message; None where the other side has ended, be it in the middle of one."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None
