"""Senders of this process: started for a store, and waited for at the end."""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

from outliers_bench.data.image_files import resolve_cache_dir
from outliers_bench.runtime.progress import status
from outliers_bench.tracking.outbox import FOLDER, Box, Start, boxes, waiting
from outliers_bench.tracking.records import read_error, store_file, without_password
from outliers_bench.tracking.sender_process import SenderProcess, spare
from outliers_bench.tracking.store import resolve_uri

SENDER = "python -m outliers_bench.tracking.sender"
PATIENCE = 120.0  # seconds without a delivered record; a request to a server fails after 20
_CHECK_EVERY = 0.25  # seconds

_BEGIN = time.time()

Store = tuple[Path, str]  # outbox and absolute tracking URI

_senders: dict[Store, SenderProcess] = {}
_own: dict[Store, list[Box]] = {}  # boxes of this process that may not be delivered
_given_up: set[Store] = set()
_reported: set[Store] = set()


def store_of(cache: Path, uri: str) -> Store:
    """Return the outbox in a cache, and the absolute tracking URI."""
    return cache.absolute() / FOLDER, resolve_uri(uri)


def announce(outbox: Path, uri: str) -> None:
    """Make sure that a sender for a store is running, or starting."""
    store = (outbox, uri)
    if store in _senders and _senders[store].is_alive:
        return
    sender = _senders[store] = spare.pop() if spare else SenderProcess()
    job = {"outbox": str(outbox.absolute()), "uri": uri, "environment": dict(os.environ)}
    sender.tell(json.dumps(job))


def create_box(outbox: Path, start: Start, *, sweep: Box | None = None) -> Box:
    """Create a box that `finish` waits for, and make sure that there is a sender for it."""
    # The process of a sweep has a sender.
    if sweep is None or sweep.start.uri != start.uri:
        announce(outbox, start.uri)
    box = Box.create(outbox, start)
    _own.setdefault((outbox, start.uri), []).append(box)
    return box


def wake(box: Box) -> None:
    """Tell the sender of a box that there is something new in it."""
    if sender := _senders.get((box.path.parent, box.start.uri)):
        sender.tell()


def outage(store: Store) -> str | None:
    """Return why the sender cannot reach the store, if it failed during this command."""
    message, noticed = read_error(store_file(*store, "error"))
    return message if noticed > _BEGIN else None


def new_outage(store: Store) -> str | None:
    """Return the outage of a store, but only once."""
    problem = None if store in _reported else outage(store)
    if problem is not None:
        _reported.add(store)
    return problem


def wait_for_run(box: Box) -> None:
    """Wait until the run of a box is created, but not if the sender makes no progress."""
    store = (box.path.parent, box.start.uri)
    if store not in _given_up and outage(store) is None:
        _wait(store, lambda: box.run is not None)


def finish() -> list[str]:
    """Wait until the boxes of this process are delivered, as long as there is progress.

    Returns
    -------
    list of str
        For each store that boxes still wait for: how many, where, why, and how to deliver them.
    """
    messages = [
        _describe(*store)
        for store, own in list(_own.items())
        if not _wait(store, partial(_are_delivered, own))
    ]
    for sender in _senders.values():
        sender.close()
    _own.clear()
    _senders.clear()
    return messages


def _are_delivered(own: Sequence[Box]) -> bool:
    return not any(box.path.exists() for box in own)


@status("waiting until MLflow has what was recorded")
def _wait(store: Store, done: Callable[[], bool]) -> bool:
    """Wait until something is delivered; return False if there is an error, or no progress."""
    begin, checked, progressed = time.time(), time.monotonic(), time.monotonic()
    state: object = None
    while not done():
        time.sleep(0.005)
        if time.monotonic() - checked < _CHECK_EVERY:
            continue
        checked = time.monotonic()
        errors = [store_file(*store, "error"), *(box.error_file for box in _own.get(store, ()))]
        if any(read_error(path)[1] > begin for path in errors):
            break
        if (left := {path for box in boxes(store[0]) for path in box.pending()}) != state:
            state, progressed = left, checked
        elif checked - progressed > PATIENCE:
            break
        _replace_sender(store)
    else:
        _given_up.discard(store)
        return True
    _given_up.add(store)
    return done()


def _replace_sender(store: Store) -> None:
    """Start a sender if there is none: the one of another process may have ended."""
    if store in _senders and _senders[store].is_alive:
        return
    from filelock import FileLock, Timeout

    lock = store_file(*store, "lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with suppress(Timeout), FileLock(lock).acquire(timeout=0):
        announce(*store)


def _describe(outbox: Path, uri: str) -> str:
    cache = outbox.parent
    option = "" if resolve_cache_dir(None) == cache else f" {shlex.quote(f'cache={cache}')}"
    n = len(waiting(outbox, uri))
    verb, them = ("is", "it") if n == 1 else ("are", "them")
    return (
        f"{count(n)} {verb} not in MLflow yet, but wait{'s' if n == 1 else ''} in {outbox} "
        f"({left_reason(outbox, uri)}); deliver {them} with: {SENDER}{option}"
    )


def count(n: int) -> str:
    """Return `1 run`, or `3 runs`; a sweep counts as one."""
    return "1 run" if n == 1 else f"{n:,} runs"


def left_reason(outbox: Path, uri: str) -> str:
    """Return why the boxes of a store are not delivered, as far as that is known."""
    errors = [read_error(store_file(outbox, uri, "error"))[0]]
    errors += [read_error(box.error_file)[0] for box in waiting(outbox, uri)]
    return next(filter(None, errors), f"tracking.uri={without_password(uri)} does not answer")
