"""The folder that is collected into: which images are there, and how one gets in."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.collect.folders import folder_of
from outliers_bench.collect.manifest import COLLECTED, NOT_COLLECTED, Manifest, Row
from outliers_bench.collect.outcome import KEPT, OUTCOMES
from outliers_bench.collect.wanted import Wanted
from outliers_bench.data.files import reason
from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    from outliers_bench.collect.picture import Picture

_PART = ".part"
_NAME = 24  # hexadecimal digits of the digest: 96 bits


class Collection:
    """Images in class folders with their manifests; see `collection`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kept = Manifest(root / COLLECTED)
        self.other = Manifest(root / NOT_COLLECTED)
        self.counts: Counter[str] = Counter()
        self._noted: set[str] = set()
        self._settle()
        self._by_content = {row.sha256: row for row in self.kept.rows.values()}

    def todo(self, wanted: Iterable[Wanted], *, again: bool) -> list[Wanted]:
        """What must be asked for; the rest is counted.

        Parameters
        ----------
        wanted : iterable of Wanted
            Everything that was asked for, each URL once.
        again : bool
            Whether to ask again for what failed for good, too.
        """
        asked = []
        for each in wanted:
            there, failed = self.kept.rows.get(each.url), self.other.rows.get(each.url)
            if there is not None and there.label != each.label:
                self._note(each, "other_label", f"collected before as {there.label}", there.path)
            elif there is not None:
                self.counts["there"] += 1
            elif failed is None or again or _may_pass(failed.status):
                asked.append(each)
            else:
                self.counts[failed.status] += 1
        return asked

    def keep(self, wanted: Wanted, picture: Picture, data: bytes, *, final_url: str) -> None:
        """Take an image in, unless its content is there already.

        Raises
        ------
        OSError
            If it cannot be written.
        """
        twin = self._by_content.get(picture.sha256)
        if twin is not None:
            label = twin.label != wanted.label
            why = f"the same picture as {twin.path}" + (f", which is {twin.label}" if label else "")
            self._note(wanted, "other_label" if label else "same", why, twin.path, final_url)
            return
        path = f"{folder_of(wanted.label)}/{picture.sha256[:_NAME]}{picture.extension}"
        file = self.root / path
        file.parent.mkdir(exist_ok=True)
        beside = file.with_name(f".{file.name}{_PART}")
        beside.write_bytes(data)
        beside.replace(file)
        row = Row(
            path=path,
            label=wanted.label,
            url=wanted.url,
            final_url=final_url,
            page=wanted.page,
            time=_now(),
            sha256=picture.sha256,
            bytes=str(picture.bytes),
            width=str(picture.width),
            height=str(picture.height),
            licence=wanted.licence,
            status=KEPT,
        )
        self.kept.add(row)
        self._by_content[picture.sha256] = row
        self.counts[KEPT] += 1

    def refuse(self, wanted: Wanted, status: str, why: str, *, final_url: str = "") -> None:
        """Note that an image is not taken in, and why; `status` is one of `OUTCOMES`."""
        self._note(wanted, status, why, final_url=final_url)

    def examples(self, status: str, wanted: Iterable[Wanted], n: int) -> list[Row]:
        """The first rows with a status."""
        rows = (self.other.rows.get(each.url) for each in wanted)
        return [row for row in rows if row is not None and row.status == status][:n]

    def close(self) -> None:
        """Leave each URL once in the tables."""
        self.kept.close()
        self.other.drop((self.kept.rows.keys() & self.other.rows.keys()) - self._noted)

    def _note(
        self, wanted: Wanted, status: str, why: str, path: str = "", final_url: str = ""
    ) -> None:
        self.counts[status] += 1
        self._noted.add(wanted.url)
        self.other.add(
            Row(
                path=path,
                label=wanted.label,
                url=wanted.url,
                final_url=final_url,
                page=wanted.page,
                time=_now(),
                licence=wanted.licence,
                status=status,
                reason=why,
            )
        )

    def _settle(self) -> None:
        """After a kill, or what a user did to the folder: tables and files tell the same."""
        for part in self.root.glob(f"*/.{'[0-9a-f]' * _NAME}.*{_PART}"):
            part.unlink()
        lost, broken = [], []
        for row in self.kept.rows.values():
            size = _size(self.root / row.path)
            if size is None:
                lost.append(row)
            elif str(size) != row.bytes:  # cut off with the power, say
                broken.append(row)
        for row in lost:
            self.other.add(replace(row, status="removed", reason=f"{row.path} was deleted"))
        if lost or broken:
            self.kept.drop([row.url for row in (*lost, *broken)])


@contextmanager
def collection(into: Path) -> Iterator[Collection]:
    """Open a folder to collect into, making it if need be, for this process alone.

    Parameters
    ----------
    into : Path
        The folder.

    Raises
    ------
    BenchError
        If it cannot be made or written to, holds another table, or another process collects
        into it.
    """
    from filelock import FileLock, Timeout

    try:
        into.mkdir(parents=True, exist_ok=True)
        if not os.access(into, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise BenchError(f"into={into}: {reason(error)}; choose another folder") from None
    lock = FileLock(into / ".collecting.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise BenchError(
            f"into={into}: another process is collecting into it; wait for it"
        ) from None
    try:
        folder = Collection(into)
        try:
            yield folder
        finally:
            folder.close()
    finally:
        lock.release()


def failed(counts: Counter[str]) -> int:
    """How many of the images asked for are not there."""
    return sum(n for status, n in counts.items() if status in OUTCOMES and OUTCOMES[status].failed)


def _may_pass(status: str) -> bool:
    return status not in OUTCOMES or OUTCOMES[status].again


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
