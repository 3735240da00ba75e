"""Delivery of the boxes of one store: every record once, in the order of its box."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.result import RunHandle
from outliers_bench.tracking.lookup import search_runs
from outliers_bench.tracking.outbox import KEY_TAG, Box, boxes
from outliers_bench.tracking.records import (
    Record,
    find_receipt,
    is_last,
    store_file,
    write_error,
)
from outliers_bench.tracking.runs import LONGEST_TAG, PARENT_TAG
from outliers_bench.tracking.store import check_answers, experiment_id, one_line, open_client

if TYPE_CHECKING:
    from mlflow import MlflowClient

RETRY = 2.0  # seconds between two attempts
_TURN = 0.1  # seconds


class Delivery:
    """Delivery of the boxes of one store.

    An error of the store stops all boxes, an error of one box only that one. Both are written into
    the outbox, and tried again after `RETRY` seconds. Killed at any moment, a later delivery
    repeats at most one call, and no call changes anything in MLflow when it is repeated.
    """

    def __init__(self, outbox: Path, uri: str, *, all_hosts: bool = False) -> None:
        """Deliver the boxes in an outbox; `all_hosts` includes what has ended on other machines."""
        self._outbox = outbox
        self._uri = uri
        self._all_hosts = all_hosts
        self._client: MlflowClient | None = None
        self._boxes: dict[str, Box] = {}
        self._retry_at: dict[str, float] = {}  # by key of a box; "" is the store

    def boxes(self) -> list[Box]:
        """Return the boxes of this store that are to be delivered, oldest first."""
        known = {}
        for found in boxes(self._outbox):
            box = self._boxes.get(found.key, found)
            with suppress(OSError, ValueError):  # removed, or of another version
                is_known = box.start.writer.is_here or (self._all_hosts and box.is_ended)
                if box.start.uri == self._uri and is_known:
                    known[box.key] = box
        self._boxes = known
        return list(known.values())

    def has_writer(self) -> bool:
        """Check whether a box of this store is still being filled."""
        return any(not (box.is_ended or box.start.writer.is_gone) for box in self.boxes())

    def connect(self) -> bool:
        """Open the store; return False if that fails, with the reason in the outbox."""
        if self._client is None and self._is_due(""):
            try:
                self._client = open_client(self._uri)
            except Exception as error:
                self._note_outage(error)
            else:
                store_file(self._outbox, self._uri, "error").unlink(missing_ok=True)
        return self._client is not None

    def deliver(self) -> bool:
        """Deliver what can be delivered; return False if there was nothing.

        Returns after a short time even if more is left, to create the runs of new boxes: the report
        of a job shows the id of its run.
        """
        known = self.boxes()
        if not known or not self.connect():
            return False
        created = [
            self._attempt(box, partial(self._create, box)) for box in known if box.run is None
        ]
        progress, until = any(created), time.monotonic() + _TURN
        for box in known:
            while (path := self._next(box)) is not None:
                if not self._attempt(box, partial(self._send, box, path)):
                    break
                progress = True
                if time.monotonic() > until:
                    return True
        if not progress:
            for box in known:
                if box.is_lost:
                    box.end_lost()
                    progress = True
        return progress

    def _next(self, box: Box) -> Path | None:
        """Return the path of the next record of a box; a sweep ends after its jobs."""
        pending = box.pending() if self._is_due(box.key) and box.run is not None else []
        if not pending:
            return None
        if is_last(pending[0]) and any(other.start.parent == box.key for other in self.boxes()):
            return None
        return pending[0]

    def _attempt(self, box: Box, action: Callable[[MlflowClient], None]) -> bool:
        if self._client is None or not self._is_due(box.key):
            return False
        try:
            action(self._client)
        except Exception as error:
            self._note_error(self._client, box, error)
            return False
        box.error_file.unlink(missing_ok=True)
        return True

    def _create(self, box: Box, client: MlflowClient) -> None:
        """Create the run of a box, unless that was done before a crash."""
        start = box.start
        experiment = experiment_id(client, start.experiment)
        attempted, run = box.path / "attempted", None
        if attempted.exists():
            run = next(search_runs(client, _has_key(box.key), experiments=[experiment]), None)
        attempted.touch()
        if run is None:
            parent = self._parent_run_id(client, start.parent)
            tags = {**start.tags, KEY_TAG: box.key, **({PARENT_TAG: parent} if parent else {})}
            run = client.create_run(
                experiment,
                start_time=start.time,
                tags={name: value[:LONGEST_TAG] for name, value in tags.items()},
                run_name=start.name,
            )
        info = run.info
        box.note_run(
            RunHandle(
                uri=self._uri,
                run_id=info.run_id,
                experiment_id=info.experiment_id,
                name=info.run_name or info.run_id,
                artifact_uri=info.artifact_uri,
            )
        )

    def _parent_run_id(self, client: MlflowClient, key: str | None) -> str | None:
        if key is None:
            return None
        if (box := self._boxes.get(key)) is not None:
            if (run := box.run) is None:
                raise RuntimeError("the sweep that the run belongs to waits as well")
            return run.run_id
        if (receipt := find_receipt(self._outbox, key)) is not None:
            return receipt.run.run_id
        found = next(search_runs(client, _has_key(key)), None)
        return None if found is None else str(found.info.run_id)

    def _send(self, box: Box, path: Path, client: MlflowClient) -> None:
        run, record = box.run, Record.read(path)
        assert run is not None  # noqa: S101 - see `_next`
        record.make(client, run.run_id)
        if is_last(path):
            box.finish(run, record.arguments.get("status"))
        else:
            path.rename(path.with_suffix(".sent"))

    def _note_error(self, client: MlflowClient, box: Box, error: Exception) -> None:
        self._retry_at[box.key] = time.monotonic() + RETRY
        try:
            check_answers(client, self._uri)
            run = box.run
            if run and client.get_run(run.run_id).info.lifecycle_stage == "deleted":
                if box.is_ended or box.start.writer.is_gone:  # else its writer still needs the box
                    box.remove()  # the user does not want it
                return
        except Exception as outage:
            self._client = None
            self._note_outage(outage)
        else:
            if box.path.exists():  # the user may have removed it
                write_error(box.error_file, f"{type(error).__name__}: {one_line(error)}")

    def _note_outage(self, error: Exception) -> None:
        self._retry_at[""] = time.monotonic() + RETRY
        write_error(store_file(self._outbox, self._uri, "error"), one_line(error))

    def _is_due(self, key: str) -> bool:
        return time.monotonic() >= self._retry_at.get(key, 0)


def _has_key(key: str) -> str:
    return f"tags.`{KEY_TAG}` = '{key}'"
