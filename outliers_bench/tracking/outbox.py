"""Outbox: records of runs and sweeps as plain files, until a sender delivers them to MLflow.

A box is a folder of one run or sweep. `box.json` is what it starts with. Files that begin with a
time are records: a function of this package to call, with its arguments. A delivered record is
renamed to `.sent`. Every file is written aside and renamed, so that a kill leaves none half made.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import cache, cached_property
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

from outliers_bench.result import RunHandle
from outliers_bench.tracking.records import (
    END,
    Record,
    find_receipt,
    function_named,
    leave_receipt,
    name_of,
    write,
)

FOLDER = "outbox"  # in the cache
SWEEP_VARIABLE = "OUTLIERS_BENCH_SWEEP"  # the box of the sweep that a process works for
KEY_TAG = "outbox.key"  # tag of a run in MLflow: the key of its box
RUN_ID = "{{run_id}}"  # in the value of a tag: the id of the run, known only after delivery
_KEY = re.compile(r"t[0-9a-f]{22}")  # no run id in MLflow begins with t
_TOLERANCE = 2.0  # seconds between two readings of one process's start time
_last_stamp = 0


def now() -> int:
    """Return the time in milliseconds since 1970, as MLflow counts."""
    return time.time_ns() // 1_000_000


@dataclass(frozen=True)
class Writer:
    """Process that fills a box."""

    host: str
    pid: int
    create_time: float
    since_boot: float  # seconds from the start of the machine to that of the process

    @classmethod
    def current(cls) -> Writer:
        """Return this process."""
        import psutil

        created = psutil.Process().create_time()
        return cls(platform.node(), os.getpid(), created, created - psutil.boot_time())

    @property
    def is_here(self) -> bool:
        """Check whether the process runs, or ran, on this machine."""
        return self.host == platform.node()

    @property
    def is_gone(self) -> bool:
        """Check whether the process ran on this machine and has ended."""
        import psutil

        if not self.is_here:
            return False
        try:
            process = psutil.Process(self.pid)
            if process.status() == psutil.STATUS_ZOMBIE:
                return True
            created = process.create_time()
            # The first changes when the clock of some systems is set, the second on others.
            changes = created - self.create_time, created - psutil.boot_time() - self.since_boot
            return all(abs(change) > _TOLERANCE for change in changes)
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


@dataclass(frozen=True)
class Start:
    """Content of `box.json`: what a run or sweep in MLflow is created with."""

    uri: str  # absolute
    experiment: str
    name: str
    tags: Mapping[str, str]
    parent: str | None  # key of the sweep that the run belongs to
    if_lost: Mapping[str, Any]  # call and arguments of the last record, if the writer disappears
    writer: Writer = field(default_factory=Writer.current)
    time: int = field(default_factory=now)  # milliseconds since 1970


class Box:
    """Records of one run or sweep, in a folder whose name is the key."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.key = path.name
        self._run: RunHandle | None = None

    @classmethod
    def create(cls, outbox: Path, start: Start) -> Box:
        """Create a box, complete with what it starts with."""
        key = f"t{time.time_ns():016x}{secrets.token_hex(3)}"
        aside = outbox / f".{key}"
        aside.mkdir(parents=True, mode=0o700)  # the URI may contain a password
        (aside / "box.json").write_text(json.dumps(asdict(start)), encoding="utf-8")
        aside.rename(outbox / key)
        return cls(outbox / key)

    @cached_property
    def start(self) -> Start:
        """Content of `box.json`; raises OSError or ValueError if it cannot be read."""
        values = json.loads((self.path / "box.json").read_text(encoding="utf-8"))
        try:
            return Start(**{**values, "writer": Writer(**values["writer"])})
        except (TypeError, KeyError) as error:  # of another version
            raise ValueError(f"{self.path} cannot be read: {error!r}") from error

    def new_folder(self) -> Path:
        """Return a new, empty folder for the files of a record that is added afterward."""
        folder = self.path / "files" / _stamp()
        folder.mkdir(parents=True)
        return folder

    def add(
        self,
        function: Callable[..., Any],
        *,
        folder: Path | None = None,
        last: bool = False,
        **arguments: Any,  # noqa: ANN401 - plain JSON
    ) -> None:
        """Add a record.

        Parameters
        ----------
        function : callable
            Function of this package with the parameters `client`, `run_id` and those given here.
        folder : Path or None
            From `new_folder`, with files that the record refers to.
        last : bool
            Whether the run or sweep ends with it.
        **arguments
            Plain JSON.
        """
        files = None if folder is None else folder.relative_to(self.path).as_posix()
        values = {"call": name_of(function), "arguments": arguments, "files": files}
        name = f"{_stamp()}-{os.getpid()}{END if last else ''}.json"
        write(self.path / name, json.dumps(values))

    def end_lost(self) -> None:
        """Add the last record of a box whose writer has disappeared."""
        call, arguments = self.start.if_lost["call"], self.start.if_lost["arguments"]
        files = [self.path / "box.json", *self._records("*")]
        sign_of_life = int(1000 * max(path.stat().st_mtime for path in files))
        self.add(function_named(call), last=True, time=sign_of_life, **arguments)

    def pending(self) -> list[Path]:
        """Return the paths of the records that are not delivered, in order."""
        return self._records("json")

    def records(self) -> Iterator[Record]:
        """Read all records, delivered or not, in order."""
        # A sender renames them meanwhile, and a listing may lack a file that is being renamed.
        names = {path.stem for suffix in ("json", "sent") for path in self._records(suffix)}
        for name in sorted(names):
            try:
                record = Record.read(self.path / f"{name}.json")
            except FileNotFoundError:
                record = Record.read(self.path / f"{name}.sent")
            yield record

    def _records(self, suffix: str) -> list[Path]:
        return sorted(self.path.glob(f"[0-9]*-*.{suffix}"))

    @property
    def is_ended(self) -> bool:
        """True if the last record is there, or delivered."""
        return not self.path.exists() or any(self.path.glob(f"[0-9]*{END}.json"))

    @property
    def is_lost(self) -> bool:
        """True if the writer has disappeared without a last record."""
        return not self.is_ended and self.start.writer.is_gone and not self.is_ended

    @property
    def run(self) -> RunHandle | None:
        """The run in MLflow, once it is created; None before."""
        if self._run is None:
            with suppress(OSError, ValueError):
                text = (self.path / "mlflow.json").read_text(encoding="utf-8")
                self._run = RunHandle(**json.loads(text))
        if self._run is None and (receipt := find_receipt(self.path.parent, self.key)):
            self._run = receipt.run
        return self._run

    def note_run(self, run: RunHandle) -> None:
        """Note the run in MLflow."""
        write(self.path / "mlflow.json", json.dumps(asdict(run)))

    @property
    def error_file(self) -> Path:
        """File that says why the last attempt to deliver the box failed; see `read_error`."""
        return self.path / "error.json"

    def finish(self, run: RunHandle, status: str | None) -> None:
        """Leave a receipt and remove the box."""
        outbox, parent = self.path.parent, self.start.parent
        # A sweep counts its jobs by their receipts.
        oldest = next(iter(boxes(outbox)), self).key
        leave_receipt(outbox, self.key, run, status=status, parent=parent, before=oldest)
        self.remove()

    def remove(self) -> None:
        """Remove the box, in one step."""
        aside = self.path.with_name(f".{self.key}")
        self.path.rename(aside)
        shutil.rmtree(aside, ignore_errors=True)

    def last_arguments(self) -> dict[str, Any]:
        """Return the arguments of the last record; empty if there is none yet."""
        for path in self.path.glob(f"[0-9]*{END}.json"):
            with suppress(OSError, ValueError):
                return Record.read(path).arguments
        return {}


def current_sweep() -> Box | None:
    """Return the box of the sweep that this process works for, or None.

    A sweep whose process was killed is ended, although jobs in other processes may go on.
    """
    path = os.environ.get(SWEEP_VARIABLE)
    return Box(Path(path)) if path and Path(path).exists() else None


def boxes(outbox: Path) -> list[Box]:
    """Return this user's boxes of an outbox, oldest first.

    Those of others are left alone, as a record is a function to call, and may name any file.
    """
    found = []
    with suppress(OSError):
        for path in sorted(outbox.iterdir()):
            with suppress(OSError):  # removed meanwhile
                if _KEY.fullmatch(path.name) and path.stat().st_uid == _owner(outbox):
                    found.append(Box(path))
    return found


@cache
def _owner(outbox: Path) -> int:
    """Return the owner of what this process writes, who may have another number on a share."""
    with TemporaryFile(dir=outbox) as file:
        return os.fstat(file.fileno()).st_uid


def waiting(outbox: Path, uri: str) -> list[Box]:
    """Return the boxes of a store that nothing fills any more, and that are not delivered."""
    found = []
    for box in boxes(outbox):
        with suppress(OSError, ValueError):  # delivered meanwhile, or of another version
            if box.start.uri == uri and (box.is_ended or box.start.writer.is_gone):
                found.append(box)
    return found


def run_of_key(outbox: Path, key: str) -> RunHandle | None:
    """Return the run in MLflow of a box, delivered or not; None if there is none yet."""
    return Box(outbox / key).run if _KEY.fullmatch(key) else None


def keys_of_run(outbox: Path, prefix: str) -> list[str]:
    """Return the keys of the boxes whose run in MLflow has an id that begins with a prefix."""
    receipts = (outbox / "sent").glob(f"t*-{prefix}*.json")
    keys = [path.name.partition("-")[0] for path in receipts]
    undelivered = ((box.key, box.run) for box in boxes(outbox))
    return keys + [key for key, run in undelivered if run and run.run_id.startswith(prefix)]


def _stamp() -> str:
    """Return the time in nanoseconds as text, strictly rising in this process."""
    global _last_stamp  # noqa: PLW0603
    _last_stamp = max(time.time_ns(), _last_stamp + 1)
    return f"{_last_stamp:020d}"
