"""Messages between the recorder process and its client: length-prefixed pickles."""

from __future__ import annotations

import struct
from typing import BinaryIO

GREETING = b"the recorder is ready\n"  # anything before it on the pipe comes from other code
_LENGTH = struct.Struct(">Q")


def send(pipe: BinaryIO, message: bytes) -> None:
    """Write a whole message."""
    pipe.write(_LENGTH.pack(len(message)) + message)
    pipe.flush()


def receive(pipe: BinaryIO) -> bytes | None:
    """Read a whole message; None if the other process has ended, even in the middle of one."""
    head = pipe.read(_LENGTH.size)
    if len(head) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(head)
    message = pipe.read(length)
    return message if len(message) == length else None
