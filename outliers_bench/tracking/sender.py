"""Sender: delivers what waits in the outbox to MLflow.

`python -m outliers_bench.tracking.sender` delivers what earlier runs could not. Every command that
records runs starts a sender as well: MLflow and its database layer take three seconds to import,
longer than a whole run with cached features, and threads would not help, as imports hold the GIL.
"""

from __future__ import annotations

import gc
import json
import os
import shutil
import sys
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Thread

from outliers_bench.runtime.command_line import main
from outliers_bench.store.files import ABANDONED_AFTER
from outliers_bench.tracking.delivery import Delivery
from outliers_bench.tracking.outbox import FOLDER, boxes, waiting
from outliers_bench.tracking.records import store_file, without_password
from outliers_bench.tracking.senders import SENDER, count, left_reason
from outliers_bench.tracking.store import LIMITS, database_path, prepare_import

UNDELIVERED = 1  # exit code
_LAST_ATTEMPT = 10.0  # seconds
_POLL = 0.25  # seconds; the process that started this one also wakes it
_NICENESS = 19  # must not disturb what the other process measures
_MAX_LOG = 2**20  # bytes


@dataclass
class Sender:
    """Deliver runs and sweeps to MLflow that could not be delivered when they ran.

    Parameters
    ----------
    cache : str or None
        Cache directory with the outbox; null is OUTLIERS_BENCH_CACHE or ~/.cache/outliers_bench.
    """

    cache: str | None = None


class Starter:
    """The process that started this one, seen through a pipe.

    A line wakes the sender; the end of the lines is the end of the process.
    """

    def __init__(self, lines: Iterable[str]) -> None:
        self.is_gone = False
        self._awake = Event()
        self._lines = lines
        Thread(target=self._read, daemon=True).start()

    def wait(self) -> None:
        """Wait until something may have changed."""
        self._awake.wait(_POLL)
        self._awake.clear()

    def _read(self) -> None:
        for _ in self._lines:
            self._awake.set()
        self.is_gone = True
        self._awake.set()


def deliver_all(outbox: Path, uri: str, starter: Starter | None = None) -> bool:
    """Deliver the boxes of a store until nothing can be delivered and nothing fills them.

    Returns
    -------
    bool
        False if another process is the sender of this store.
    """
    from filelock import FileLock, Timeout

    delivery = Delivery(outbox, uri, all_hosts=starter is None)
    lock = FileLock(store_file(outbox, uri, "lock"))
    Path(lock.lock_file).parent.mkdir(parents=True, exist_ok=True)
    for aside in outbox.glob(".t*"):  # boxes that were half made or half removed
        with suppress(OSError):
            if time.time() - aside.stat().st_mtime > ABANDONED_AFTER:
                shutil.rmtree(aside)
    while True:
        is_last = starter is None or starter.is_gone
        try:
            # That of a command that has just ended may be at its last attempt, and not look again.
            with lock.acquire(timeout=_LAST_ATTEMPT if is_last else 0):
                _deliver_until_idle(delivery, uri, starter)
                return True
        except Timeout:
            if starter is None or is_last:  # that of a longer command delivers the rest
                return False
            starter.wait()


def _deliver_until_idle(delivery: Delivery, uri: str, starter: Starter | None) -> None:
    """Deliver until there is nothing to do and no writer."""
    path = database_path(uri)
    if starter is not None and (path is None or path.exists()):
        delivery.connect()
    while True:
        lives = (starter is not None and not starter.is_gone) or delivery.has_writer()
        if delivery.deliver():
            continue
        if not lives:
            return
        if starter is None:
            time.sleep(_POLL)
        else:
            starter.wait()


def serve() -> None:
    """Deliver for the process that started this one, until it has ended and nothing can be done.

    The first line of standard input is JSON of `outbox`, `uri` and `environment`.
    """
    with suppress(AttributeError, OSError):
        os.nice(_NICENESS)
    _import_mlflow()
    line = sys.stdin.readline()
    if line:
        job = json.loads(line)
        os.environ.update({**LIMITS, **job["environment"]})
        outbox = Path(job["outbox"])
        _redirect_output(outbox / "sender.log")
        deliver_all(outbox, job["uri"], Starter(sys.stdin))
    os._exit(0)  # a regular exit with thousands of modules is slow


def _import_mlflow() -> None:
    """Import MLflow and its database layer, if possible without pandas.

    MLflow works without pandas, as mlflow-skinny shows, and is imported half a second faster. The
    sender needs no data frames.
    """
    prepare_import()
    gc.disable()
    sys.modules["pandas"] = None  # type: ignore[assignment]
    with suppress(ImportError):  # opening the store reports it
        import mlflow.store.tracking.sqlalchemy_store  # noqa: F401
    del sys.modules["pandas"]
    gc.enable()
    gc.freeze()  # imported modules stay, so the collector can skip them


def _redirect_output(log: Path) -> None:
    """Write to a log: the terminal belongs to the command, which may have ended."""
    with suppress(OSError):  # it may belong to somebody else
        log.parent.mkdir(parents=True, exist_ok=True)
        mode = "w" if log.exists() and log.stat().st_size > _MAX_LOG else "a"
        with log.open(mode) as file:
            for stream in (1, 2):
                os.dup2(file.fileno(), stream)


def send(options: Sender) -> int:
    """Deliver what waits in the outbox, print what is left, and return the exit code."""
    from outliers_bench.data.image_files import existing_folder, resolve_cache_dir

    if options.cache is not None:
        existing_folder(options.cache, "cache")
    os.environ.update({**LIMITS, **os.environ})
    outbox = resolve_cache_dir(options.cache) / FOLDER
    uris: dict[str, None] = {}
    for box in boxes(outbox):
        with suppress(OSError, ValueError):  # removed, or of another version
            uris[box.start.uri] = None
    if not uris:
        print(f"nothing waits in {outbox}")
    code = 0
    for uri in uris:
        before = {box.key for box in waiting(outbox, uri)}
        is_sender = deliver_all(outbox, uri)
        left = waiting(outbox, uri)
        n_sent = len(before - {box.key for box in left})
        print(f"{without_password(uri)}: delivered {count(n_sent)}")
        if left and is_sender:
            reason = left_reason(outbox, uri)
            print(f"{count(len(left))} left in {outbox} ({reason})", file=sys.stderr)
            code = UNDELIVERED
        elif left:
            print(f"{count(len(left))} left to another sender, which is at work")
    return code


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Sender, send, program=SENDER, arguments=arguments)


if __name__ == "__main__":
    sys.exit(run())
