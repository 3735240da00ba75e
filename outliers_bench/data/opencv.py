"""OpenCV: lazy import, log level, and number of threads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

MAX_PIXELS = 2**27
"""Maximum number of pixels of an image: 134 million, 384 MiB decoded."""


@cache
def opencv() -> Any:  # noqa: ANN401 - its type stubs are incomplete
    """Import and configure OpenCV."""
    # Read once, when OpenCV is imported.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
    import cv2

    # The run reports unreadable images itself; a second message would break the progress bar.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Limit OpenCV to one thread per call while several threads call it."""
    cv2 = opencv()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
