"""Folder of collected images with its two manifests."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.collect.failures import (
    ALREADY_COLLECTED,
    COLLECTED,
    OUTCOMES,
    REMOVED,
)
from outliers_bench.apps.collect.manifest import (
    COLLECTED_FILE,
    NOT_COLLECTED_FILE,
    PART_SUFFIX,
    Manifest,
    Row,
    write_file,
)
from outliers_bench.apps.collect.url_list import ListedImage
from outliers_bench.data.image_files import describe_os_error, make_folder
from outliers_bench.errors import BenchError
from outliers_bench.runtime.lock import hold_lock

if TYPE_CHECKING:
    from outliers_bench.apps.collect.image_check import CheckedImage

_FORBIDDEN = re.compile(r'[<>:"/\\|?*]')
# Names of devices on Windows; photos in __MACOSX would be ignored when the folder is listed.
_RESERVED = {
    "con", "prn", "aux", "nul", "__macosx",
    *(f"{name}{n}" for name in ("com", "lpt") for n in "0123456789¹²³"),
}  # fmt: skip
_MAX_LENGTH = 100  # bytes; most systems allow 255
_DIGEST_DIGITS = 24  # hexadecimal digits of the digest in a file name: 96 bits


class Collection:
    """Images in class folders with their manifests; see `open_collection`.

    Attributes
    ----------
    collected, not_collected : Manifest
        Images in the folder, and URLs that were not collected.
    statuses : dict of str to str
        Status of each URL of this run.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.collected = Manifest(root / COLLECTED_FILE)
        self.not_collected = Manifest(root / NOT_COLLECTED_FILE)
        self.statuses: dict[str, str] = {}
        self._reconcile()
        self._by_digest = {row.sha256: row for row in self.collected.rows.values()}

    def select_pending(self, images: Iterable[ListedImage], *, again: bool) -> list[ListedImage]:
        """Return the images of a list to request; record the status of the others.

        With `again`, permanent failures are retried as well.
        """
        pending = []
        for image in images:
            row = self.collected.rows.get(image.url)
            failure = self.not_collected.rows.get(image.url)
            if row is not None and row.label != image.label:
                self.reject(
                    image, "other_label", f"already collected, labeled {row.label}", path=row.path
                )
            elif row is not None:
                self.statuses[image.url] = ALREADY_COLLECTED
            elif failure is not None and not again and not _is_retried(failure):
                self.statuses[image.url] = failure.status
            else:
                pending.append(image)
        return pending

    def add(
        self, image: ListedImage, checked: CheckedImage, data: bytes, *, final_url: str
    ) -> None:
        """Store an image, unless the same content is already in the folder.

        `final_url` is the URL after redirects. Raises `OSError` if the file or the manifest cannot
        be written.
        """
        duplicate = self._by_digest.get(checked.sha256)
        if duplicate is not None:
            status, reason = "same", f"duplicate of {duplicate.path}"
            if duplicate.label != image.label:
                status, reason = "other_label", f"{reason}, labeled {duplicate.label}"
            self.reject(image, status, reason, path=duplicate.path, final_url=final_url)
            return
        path = f"{folder_name(image.label)}/{checked.sha256[:_DIGEST_DIGITS]}{checked.extension}"
        file = self.root / path
        file.parent.mkdir(exist_ok=True)
        write_file(file, data)
        row = _new_row(
            image,
            path=path,
            final_url=final_url,
            sha256=checked.sha256,
            bytes=str(len(data)),
            width=str(checked.width),
            height=str(checked.height),
            status=COLLECTED,
        )
        self.collected.add(row)
        self._by_digest[checked.sha256] = row
        self.statuses[image.url] = COLLECTED

    def reject(
        self, image: ListedImage, status: str, reason: str, *, path: str = "", final_url: str = ""
    ) -> None:
        """Record that an image is not collected; see `Row` for the cells."""
        self.statuses[image.url] = status
        self.not_collected.add(
            _new_row(image, path=path, final_url=final_url, status=status, reason=reason)
        )

    def close(self) -> None:
        """Leave each URL in one of the manifests, or in both if it has another label now."""
        in_both = self.collected.rows.keys() & self.not_collected.rows.keys()
        self.not_collected.drop(url for url in in_both if self.statuses.get(url) not in OUTCOMES)

    def _reconcile(self) -> None:
        """Make the manifests agree with the files after a kill or a change by the user."""
        for part in self.root.glob(f"*/.{'[0-9a-f]' * _DIGEST_DIGITS}.*{PART_SUFFIX}"):
            part.unlink()
        paths = {row.path for row in self.collected.rows.values()}
        for row in self.not_collected.rows.values():
            is_present = row.path not in paths and self._size(row) == row.bytes
            if row.status == REMOVED and is_present:  # restored, e.g. by clean with undo=true
                paths.add(row.path)
                self.collected.add(row._replace(status=COLLECTED, reason=""))
        # A file of another size is damaged, e.g. by a power failure, and requested again.
        lost = [row for row in self.collected.rows.values() if self._size(row) != row.bytes]
        for row in lost:
            if not self._size(row):
                reason = f"{row.path} was deleted"
                self.not_collected.add(row._replace(status=REMOVED, reason=reason))
        if lost:
            self.collected.drop([row.url for row in lost])

    def _size(self, row: Row) -> str:
        """Return the size of a row's file in bytes; empty without a file."""
        file = self.root / row.path
        return str(file.stat().st_size) if file.is_file() else ""


@contextmanager
def open_collection(folder: Path) -> Iterator[Collection]:
    """Open a folder for collecting, for this process alone; create it if necessary.

    Raises
    ------
    BenchError
        If the folder cannot be created, contains another table, or is in use by another process;
        or for an `OSError` of the block, such as a full disk.
    """
    make_folder(folder, "into")
    refused = f"into={folder}: another process is collecting into this folder; wait until it ends"
    try:
        with hold_lock(folder / ".collecting.lock", refused=refused):
            collection = Collection(folder)
            try:
                yield collection
            finally:
                collection.close()
    except OSError as error:
        raise BenchError(
            f"{error.filename or folder}: {describe_os_error(error)}; fix this, then run the same "
            "command again to continue"
        ) from None


def folder_name(label: str) -> str:
    """Return the name of a label's folder: the label itself wherever that is safe.

    Characters that are not safe on Windows, macOS or Linux are replaced, and a digest of the label
    is appended, so that two labels never share a folder.
    """
    name = _FORBIDDEN.sub("_", label)
    name = "".join("_" if unicodedata.category(c) in ("Cc", "Cf", "Cs") else c for c in name)
    name = name.lstrip(". ").rstrip(". ")
    if name.partition(".")[0].rstrip().casefold() in _RESERVED:
        name = f"_{name}"  # Windows takes NUL.txt for NUL
    if len(name.encode()) > _MAX_LENGTH:
        name = name.encode()[:_MAX_LENGTH].decode(errors="ignore").rstrip(". ")
    if name == label:
        return name
    digest = hashlib.sha256(label.encode(errors="surrogatepass")).hexdigest()[:8]
    return f"{name or 'label'}-{digest}"


def _is_retried(failure: Row) -> bool:
    return failure.status not in OUTCOMES or OUTCOMES[failure.status].retried


def _new_row(image: ListedImage, **cells: str) -> Row:
    """Return a row of an image with the current time."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Row(**image._asdict(), time=now, **cells)
