"""Errors that the user can correct."""

from typing import ClassVar, Literal


class BenchError(Exception):
    """Error in the options or data that the user gave.

    The message says what is wrong, where, and what to do about it. The command line prints it
    without a traceback and exits with code 2.
    """


class WeightsUnavailableError(BenchError):
    """ImageNet weights that are neither on this machine nor available for download."""


class UnreadableImageError(BenchError):
    """Image that cannot be decoded; the run counts it and continues without it.

    Parameters
    ----------
    reason : str
        What is wrong with it, such as "is empty". Without its name: the same content may be in
        several files, and reasons are cached.
    name : str
        Name of the image, which the message begins with.
    """

    kind: ClassVar[Literal["unreadable", "unsupported"]] = "unreadable"

    def __init__(self, reason: str, *, name: str = "") -> None:
        super().__init__(f"{name}: {reason}" if name else reason)
        self.reason = reason


class UnsupportedImageError(UnreadableImageError):
    """Image of a known format that cannot be decoded here; it is not damaged."""

    kind = "unsupported"


class InaccessibleImageError(UnreadableImageError):
    """Image that cannot be opened now; its content is unknown, so the failure is not cached."""
