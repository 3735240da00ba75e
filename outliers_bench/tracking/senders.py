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
from outliers_bench.tracking.outages import SENDER, count, left_reason, read_error, store_file
from outliers_bench.tracking.outbox import Box, boxes, waiting
from outliers_bench.tracking.sender_process import SenderProcess, spare

PATIENCE = 10.0  # seconds without progress
_CHECK_EVERY = 0.25  # seconds
_CPU = 0.05  # seconds of computing that count as progress; none while a server is waited for

_BEGIN = time.time()

Store = tuple[Path, str]  # outbox and absolute tracking URI

_senders: dict[Store, SenderProcess] = {}
_own: dict[Store, list[Box]] = {}  # boxes of this process that may not be delivered
_given_up: set[Store] = set()
_reported: set[Store] = set()


def announce(outbox: Path, uri: str) -> None:
    """Make sure that a sender for a store is running, or starting.

    Parameters
    ----------
    outbox : Path
        Folder of the boxes.
    uri : str
        Absolute tracking URI.
    """
    store = (outbox, uri)
    if store in _senders and _senders[store].is_alive:
        return
    sender = _senders[store] = spare.pop() if spare else SenderProcess()
    job = {"outbox": str(outbox.absolute()), "uri": uri, "environment": dict(os.environ)}
    sender.tell(json.dumps(job))


def wake(box: Box) -> None:
    """Tell the sender of a box that there is something new in it."""
    if sender := _senders.get((box.path.parent, box.start.uri)):
        sender.tell()


def watch(box: Box) -> Box:
    """Add a box to those that `finish` waits for, and return it."""
    _own.setdefault((box.path.parent, box.start.uri), []).append(box)
    return box


def outage(outbox: Path, uri: str) -> str | None:
    """Return why the sender cannot reach the store, if it failed during this command."""
    message, noticed = read_error(store_file(outbox, uri, "error"))
    return message if noticed > _BEGIN else None


def new_outage(outbox: Path, uri: str) -> str | None:
    """Return the outage of a store, but only once."""
    problem = None if (outbox, uri) in _reported else outage(outbox, uri)
    if problem is not None:
        _reported.add((outbox, uri))
    return problem


def wait_for_run(box: Box) -> None:
    """Wait until the run of a box is created, but not if the sender makes no progress."""
    store = (box.path.parent, box.start.uri)
    if store not in _given_up and outage(*store) is None:
        _wait(store, lambda: box.run is not None)


def finish() -> list[str]:
    """Wait until the boxes of this process are delivered, as long as there is progress.

    Returns
    -------
    list of str
        For each store that boxes still wait for: how many, where, why, and how to deliver them.
    """
    messages = []
    for store, own in list(_own.items()):
        if not _wait(store, partial(_are_delivered, own)):
            messages.append(_describe(*store))
    for sender in _senders.values():
        sender.close()
    _own.clear()
    _senders.clear()
    return messages


def _are_delivered(own: Sequence[Box]) -> bool:
    return not any(box.path.exists() for box in own)


def _wait(store: Store, done: Callable[[], bool]) -> bool:
    """Wait until something is delivered; return False if there is an error, or no progress."""
    outbox, uri = store
    begin, error_file = time.time(), store_file(outbox, uri, "error")
    checked = progressed = time.monotonic()
    state: object = None
    cpu = 0.0
    while not done():
        time.sleep(0.005)
        if time.monotonic() - checked < _CHECK_EVERY:
            continue
        checked = time.monotonic()
        errors = [error_file, *(box.error_file for box in _own.get(store, ()))]
        if any(read_error(path)[1] > begin for path in errors):
            break
        new = {path for box in boxes(outbox) for path in box.pending()}
        used = _cpu_seconds(store)
        if new != state or used > cpu + _CPU:
            state, cpu, progressed = new, used, checked
        elif checked - progressed > PATIENCE:
            break
        _replace_sender(store)
    else:
        _given_up.discard(store)
        return True
    _given_up.add(store)
    return done()


def _cpu_seconds(store: Store) -> float:
    """Return the computing time of the senders of a store, in seconds."""
    import psutil

    pids = [_senders[store].pid] if store in _senders else []
    with suppress(OSError, ValueError):
        pids.append(int(store_file(*store, "pid").read_text()))
    seconds = 0.0
    for pid in set(pids):
        with suppress(psutil.Error):
            times = psutil.Process(pid).cpu_times()
            seconds += times.user + times.system
    return seconds


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
