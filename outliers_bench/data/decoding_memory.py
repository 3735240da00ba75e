"""Memory of images that are being decoded, limited over all threads of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

DECODING_BYTES = 2**32
"""Maximum memory that the threads take together while they decode.

Files of a few kilobytes can claim the largest size, for which most formats take 2 GiB in every
thread. Ordinary photos never wait: a JPEG of 12 million pixels takes 36 MB.
"""

_changed = Condition()
_taken = 0


@contextmanager
def decoding_memory(size: int) -> Iterator[None]:
    """Wait until an image may be decoded; one that needs more than the limit is decoded alone.

    Parameters
    ----------
    size : int
        Bytes that decoding takes at most, known from the header; see `Header.pixel_bytes`.
    """
    global _taken  # noqa: PLW0603 - the memory is that of the process
    size = min(size, DECODING_BYTES)
    with _changed:
        _changed.wait_for(lambda: _taken + size <= DECODING_BYTES)
        _taken += size
    try:
        yield
    finally:
        with _changed:
            _taken -= size
            _changed.notify_all()
