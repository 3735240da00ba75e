"""Receipts in the outbox: what became of a box in MLflow."""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from outliers_bench.result import RunHandle
from outliers_bench.tracking.records import write

MAX_RECEIPTS = 1000  # the oldest are removed
_PASSWORD = re.compile(r"(?<=://)[^/\s]*@")


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


def keys_of_receipts(outbox: Path, prefix: str) -> list[str]:
    """Return the keys of the delivered boxes whose run has an id that begins with a prefix."""
    return [path.name.partition("-")[0] for path in (outbox / "sent").glob(f"t*-{prefix}*.json")]


def _read_receipt(path: Path) -> Receipt | None:
    with suppress(OSError, ValueError, TypeError, KeyError):
        values = json.loads(path.read_text(encoding="utf-8"))
        status, parent = values.pop("status"), values.pop("parent")
        return Receipt(RunHandle(**values), status, parent)
    return None


def without_password(text: str) -> str:
    """Return a tracking URI, an option, or a message, without user name and password."""
    return _PASSWORD.sub("", text)
