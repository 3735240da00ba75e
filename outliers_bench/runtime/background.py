"""Threads that decode images, for which an interrupted program does not wait."""

from __future__ import annotations

import atexit
import os
import sys
import threading
from contextlib import suppress

DECODING = "decode"  # start of the names of these threads


def exit_while_decoding(code: int) -> None:
    """Exit now if images are being decoded; Python would first wait for their threads.

    What is registered to run at the end of the program runs before.
    """
    if not any(thread.name.startswith(DECODING) for thread in threading.enumerate()):
        return
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code)
