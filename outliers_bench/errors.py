"""The errors a user can mend."""


class BenchError(Exception):
    """A mistake in what the user asked for or gave.

    The message says what is wrong, where, and what to do about it. The command line prints it
    without a traceback and exits with code 2.
    """


class WeightsUnavailableError(BenchError):
    """ImageNet weights that this machine neither has nor can download; other models may run."""


class UnreadableImageError(BenchError):
    """One image that cannot be decoded; the run goes on without it and counts it."""


class InaccessibleImageError(UnreadableImageError):
    """An image that cannot be opened now; says nothing of its content, so nobody remembers it."""
