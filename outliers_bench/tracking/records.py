"""Files in the outbox: records of calls to make, receipts of delivered boxes, and errors."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from outliers_bench.result import RunHandle
from outliers_bench.tracking.provenance import user

END = "-end"  # at the end of the name of a box's last record
MAX_RECEIPTS = 1000  # the oldest are removed
_PACKAGE = __package__.partition(".")[0]
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")


@dataclass(frozen=True)
class Record:
    """A call to make: `call` names a function `f(client, run_id, **arguments)` of this package."""

    path: Path
    call: str
    arguments: dict[str, Any]
    files: str | None  # name of its folder of files, relative to the box

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a record."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, values["call"], values["arguments"], values["files"])

    def make(self, client: object, run_id: str) -> None:
        """Call the function; it gets the folder of its files as the argument `folder`."""
        arguments = dict(self.arguments)
        if self.files is not None:
            arguments["folder"] = self.path.parent / self.files
        function_named(self.call)(client, run_id, **arguments)


def is_last(path: Path) -> bool:
    """Check whether the run or sweep ends with the record in a file."""
    return path.stem.endswith(END)


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, as `module:function`."""
    return f"{function.__module__}:{function.__qualname__}"


def function_named(call: str) -> Callable[..., Any]:
    """Return the function of a record.

    Raises
    ------
    ValueError
        If it is not a function of a module of this package.
    """
    module, _, name = call.partition(":")
    if module.partition(".")[0] == _PACKAGE:
        function = getattr(import_module(module), name, None)
        if getattr(function, "__module__", None) == module and callable(function):
            return function  # type: ignore[no-any-return]
    raise ValueError(f"{call} is not a function of {_PACKAGE}")


def write(path: Path, text: str) -> None:
    """Write a file aside and rename it."""
    # Not `write_atomically`, which would make the folder of a removed box again.
    aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)


@dataclass(frozen=True)
class Receipt:
    """A delivered box: its run in MLflow, without the password of the URI, and its status."""

    run: RunHandle
    status: str | None
    parent: str | None


def leave_receipt(
    outbox: Path, key: str, run: RunHandle, *, status: str | None, parent: str | None, before: str
) -> None:
    """Write the receipt of a box; if there are too many, remove the oldest before a key."""
    folder = outbox / "sent"
    folder.mkdir(exist_ok=True)
    values = {**asdict(run), "uri": without_password(run.uri), "status": status, "parent": parent}
    write(folder / f"{key}-{run.run_id}.json", json.dumps(values))
    for old in sorted(folder.glob("t*.json"))[:-MAX_RECEIPTS]:
        if old.name < before:
            old.unlink(missing_ok=True)


def find_receipt(outbox: Path, key: str) -> Receipt | None:
    """Return the receipt of a delivered box, or None."""
    for path in (outbox / "sent").glob(f"{key}-*.json"):
        return _read_receipt(path)
    return None


def receipts_of(outbox: Path, parent: str) -> dict[str, Receipt]:
    """Return the receipts of the jobs of a sweep, by the key of their box."""
    paths = (outbox / "sent").glob("t*.json")
    receipts = {path.name.partition("-")[0]: _read_receipt(path) for path in paths}
    return {key: each for key, each in receipts.items() if each and each.parent == parent}


def _read_receipt(path: Path) -> Receipt | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        values = json.loads(path.read_text(encoding="utf-8"))
        status, parent = values.pop("status"), values.pop("parent")
        return Receipt(RunHandle(**values), status, parent)
    return None


def store_file(outbox: Path, uri: str, suffix: str) -> Path:
    """Return the file of a store and this user: `lock` of its sender, or its `error`."""
    digest = hashlib.sha256(f"{user()} {uri}".encode()).hexdigest()[:16]
    return outbox / "stores" / f"{digest}.{suffix}"


def write_error(path: Path, message: str) -> None:
    """Write why a delivery failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write(path, json.dumps({"message": without_password(message), "time": time.time()}))


def read_error(path: Path) -> tuple[str | None, float]:
    """Return message and time (seconds since 1970) of an error; (None, 0) if there is none."""
    with suppress(OSError, ValueError, KeyError):
        values = json.loads(path.read_text(encoding="utf-8"))
        return str(values["message"]), float(values["time"])
    return None, 0.0


def without_password(text: str) -> str:
    """Return a tracking URI, an option, or a message, without user name and password."""
    return _PASSWORD.sub("", text)
