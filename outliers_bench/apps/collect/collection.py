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

from outliers_bench.apps.collect.failures import KEPT, REMOVED, may_pass
from outliers_bench.apps.collect.folders import folder_of
from outliers_bench.apps.collect.manifest import COLLECTED, NOT_COLLECTED, Manifest, Row, writing
from outliers_bench.apps.collect.url_list import Wanted
from outliers_bench.data.image_files import reason
from outliers_bench.errors import BenchError

if TYPE_CHECKING:
    from outliers_bench.apps.collect.image_check import Picture

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
                self.refuse(
                    each, "other_label", f"collected before as {there.label}", path=there.path
                )
            elif there is not None:
                self.counts["there"] += 1
            elif failed is None or again or may_pass(failed.status):
                asked.append(each)
            else:
                self.counts[failed.status] += 1
        return asked

    def keep(self, wanted: Wanted, picture: Picture, data: bytes, *, final_url: str) -> None:
        """Take an image in, unless its content is there already.

        Raises
        ------
        BenchError
            If it cannot be written.
        """
        twin = self._by_content.get(picture.sha256)
        if twin is not None:
            label = twin.label != wanted.label
            why = f"the same picture as {twin.path}" + (f", which is {twin.label}" if label else "")
            status = "other_label" if label else "same"
            self.refuse(wanted, status, why, path=twin.path, final_url=final_url)
            return
        path = f"{folder_of(wanted.label)}/{picture.sha256[:_NAME]}{picture.extension}"
        file = self.root / path
        with writing(file):
            file.parent.mkdir(exist_ok=True)
            beside = file.with_name(f".{file.name}{_PART}")
            beside.write_bytes(data)
            beside.replace(file)
        row = _row(
            wanted,
            path=path,
            final_url=final_url,
            sha256=picture.sha256,
            bytes=str(picture.bytes),
            width=str(picture.width),
            height=str(picture.height),
            status=KEPT,
        )
        self.kept.add(row)
        self._by_content[picture.sha256] = row
        self.counts[KEPT] += 1

    def refuse(
        self, wanted: Wanted, status: str, why: str, *, path: str = "", final_url: str = ""
    ) -> None:
        """Note that an image is not taken in, and why.

        `status` is one of `OUTCOMES`, `path` the image that is there instead.
        """
        self.counts[status] += 1
        self._noted.add(wanted.url)
        self.other.add(_row(wanted, path=path, final_url=final_url, status=status, reason=why))

    def close(self) -> None:
        """Leave each URL once in the tables."""
        self.kept.close()
        self.other.drop((self.kept.rows.keys() & self.other.rows.keys()) - self._noted)

    def _settle(self) -> None:
        """After a kill, or what a user did to the folder: tables and files tell the same."""
        with writing(self.root):
            for part in self.root.glob(f"*/.{'[0-9a-f]' * _NAME}.*{_PART}"):
                part.unlink()
        known = {row.path for row in self.kept.rows.values()}
        for row in self.other.rows.values():
            there = row.path not in known and str(_size(self.root / row.path)) == row.bytes
            if row.status == REMOVED and there:  # put back, by clean's undo=true say
                known.add(row.path)
                self.kept.add(replace(row, status=KEPT, reason=""))
        lost, broken = [], []
        for row in self.kept.rows.values():
            size = _size(self.root / row.path)
            if size is None:
                lost.append(row)
            elif str(size) != row.bytes:  # cut off with the power, say
                broken.append(row)
        for row in lost:
            self.other.add(replace(row, status=REMOVED, reason=f"{row.path} was deleted"))
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


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _row(wanted: Wanted, **known: str) -> Row:
    """A row of now."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Row(
        label=wanted.label,
        url=wanted.url,
        page=wanted.page,
        license=wanted.license,
        time=now,
        **known,
    )
