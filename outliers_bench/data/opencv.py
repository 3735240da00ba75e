"""OpenCV as it is used here: imported late, quiet, and with as many threads as we say."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

MAX_PIXELS = 2**27
"""Pixels beyond which an image is refused: 134 million, 400 MB decoded."""


@cache
def opencv() -> Any:  # noqa: ANN401 - its type stubs lack what we use
    """OpenCV, imported and set up."""
    # Read once, when OpenCV is imported.
    os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(MAX_PIXELS))
    import cv2

    # An unreadable image is reported once, by us, and not a second time amid the progress bar.
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    return cv2


@contextmanager
def one_opencv_thread() -> Iterator[None]:
    """Let OpenCV use one thread a call, where we call it from several."""
    cv2 = opencv()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
