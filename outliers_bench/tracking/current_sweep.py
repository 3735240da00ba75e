"""Which sweep the runs of this process belong to."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any

VARIABLE = "OUTLIERS_BENCH_PARENT_RUN"

_begun: list[Future[str]] = []


def set_current_sweep(parent: Future[str], *, to_other_processes: bool) -> None:
    """Have all runs from here on belong to a sweep.

    Parameters
    ----------
    parent : Future of str
        The id of its run, once the recorder has begun it.
    to_other_processes : bool
        Whether jobs run in processes begun from here, which are told by the environment. It is
        waited for then.

    Raises
    ------
    BenchError
        If it is waited for and could not be begun.
    """
    if to_other_processes:
        os.environ[VARIABLE] = parent.result()
    _begun[:] = [parent]


def parent_run() -> Any:  # noqa: ANN401 - str, Future of str, or None
    """The id of the sweep's run, to be handed to a recorder, which waits for it; None for none."""
    return _begun[0] if _begun else os.environ.get(VARIABLE)


def start_error() -> BaseException | None:
    """Why the sweep's run could not be begun, as far as that is known."""
    return _begun[0].exception() if _begun and _begun[0].done() else None


def clear_current_sweep() -> None:
    """The sweep is over."""
    _begun.clear()
    os.environ.pop(VARIABLE, None)
