"""Errors of deliveries, as files in the outbox."""

from __future__ import annotations

import getpass
import hashlib
import json
import time
from contextlib import suppress
from pathlib import Path

from outliers_bench.tracking.outbox import waiting
from outliers_bench.tracking.receipts import without_password
from outliers_bench.tracking.records import write

SENDER = "python -m outliers_bench.tracking.sender"


def store_file(outbox: Path, uri: str, suffix: str) -> Path:
    """Return the file of a store and this user: `lock` of its sender, or its `error`."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):
        user = ""
    digest = hashlib.sha256(f"{user} {uri}".encode()).hexdigest()[:16]
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


def count(n: int) -> str:
    """Return `1 run`, or `3 runs`; a sweep counts as one."""
    return "1 run" if n == 1 else f"{n:,} runs"


def left_reason(outbox: Path, uri: str) -> str:
    """Return why the boxes of a store are not delivered, as far as that is known."""
    errors = [read_error(store_file(outbox, uri, "error"))[0]]
    errors += [read_error(box.error_file)[0] for box in waiting(outbox, uri)]
    return next(filter(None, errors), f"tracking.uri={without_password(uri)} does not answer")
