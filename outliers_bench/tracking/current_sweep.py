"""The sweep that the runs of this process belong to."""

from __future__ import annotations

import os
from concurrent.futures import Future
from typing import Any

VARIABLE = "OUTLIERS_BENCH_PARENT_RUN"

_parent: list[Future[str]] = []


def set_current_sweep(parent: Future[str], *, to_other_processes: bool) -> None:
    """Make all following runs part of a sweep.

    Parameters
    ----------
    parent : Future of str
        Id of the sweep's parent run, once the recorder has created it.
    to_other_processes : bool
        Whether jobs run in child processes, which get the id from the environment. If so, waits
        for the parent run.

    Raises
    ------
    BenchError
        If the parent run is waited for and cannot be created.
    """
    if to_other_processes:
        os.environ[VARIABLE] = parent.result()
    _parent[:] = [parent]


def parent_run() -> Any:  # noqa: ANN401 - str, Future of str, or None
    """Return the id of the sweep's parent run, or its future for the recorder; None if no sweep."""
    return _parent[0] if _parent else os.environ.get(VARIABLE)


def start_error() -> BaseException | None:
    """Return the error that prevented the parent run, if it is known already."""
    return _parent[0].exception() if _parent and _parent[0].done() else None


def clear_current_sweep() -> None:
    """End the sweep."""
    _parent.clear()
    os.environ.pop(VARIABLE, None)
