"""Folder of collected images with its two manifests."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.collect.failures import (
    ALREADY_COLLECTED,
    COLLECTED,
    REMOVED,
    is_retried,
)
from outliers_bench.apps.collect.folders import folder_name
from outliers_bench.apps.collect.manifest import (
    COLLECTED_FILE,
    NOT_COLLECTED_FILE,
    Manifest,
    Row,
    explain_write_errors,
)
from outliers_bench.apps.collect.url_list import ListedImage
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.errors import BenchError
from outliers_bench.runtime.lock import hold_lock

if TYPE_CHECKING:
    from outliers_bench.apps.collect.image_check import CheckedImage

_PART_SUFFIX = ".part"
_DIGEST_DIGITS = 24  # hexadecimal digits of the digest in a file name: 96 bits


class Collection:
    """Images in class folders with their manifests; see `open_collection`.

    Attributes
    ----------
    collected, not_collected : Manifest
        Images in the folder, and URLs that were not collected.
    counts : Counter
        Number of URLs per status.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.collected = Manifest(root / COLLECTED_FILE)
        self.not_collected = Manifest(root / NOT_COLLECTED_FILE)
        self.counts: Counter[str] = Counter()
        self._rejected_now: set[str] = set()
        self._reconcile()
        self._by_digest = {row.sha256: row for row in self.collected.rows.values()}

    def select_pending(self, images: Iterable[ListedImage], *, again: bool) -> list[ListedImage]:
        """Return the images to request; count the others.

        Parameters
        ----------
        images : iterable of ListedImage
            All images of the list, each URL once.
        again : bool
            Whether to retry permanent failures as well.
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
                self.counts[ALREADY_COLLECTED] += 1
            elif failure is None or again or is_retried(failure.status):
                pending.append(image)
            else:
                self.counts[failure.status] += 1
        return pending

    def add(
        self, image: ListedImage, checked: CheckedImage, data: bytes, *, final_url: str
    ) -> None:
        """Store an image, unless the same content is already in the folder.

        Parameters
        ----------
        image : ListedImage
            Its entry in the list.
        checked : CheckedImage
            Digest, size and file name extension of the data.
        data : bytes
            The file.
        final_url : str
            URL after redirects.

        Raises
        ------
        BenchError
            If the file or the manifest cannot be written.
        """
        duplicate = self._by_digest.get(checked.sha256)
        if duplicate is not None:
            message = f"duplicate of {duplicate.path}"
            status = "same"
            if duplicate.label != image.label:
                message += f", labeled {duplicate.label}"
                status = "other_label"
            self.reject(image, status, message, path=duplicate.path, final_url=final_url)
            return
        path = f"{folder_name(image.label)}/{checked.sha256[:_DIGEST_DIGITS]}{checked.extension}"
        file = self.root / path
        with explain_write_errors(file):
            file.parent.mkdir(exist_ok=True)
            partial = file.with_name(f".{file.name}{_PART_SUFFIX}")
            partial.write_bytes(data)
            partial.replace(file)
        row = _new_row(
            image,
            path=path,
            final_url=final_url,
            sha256=checked.sha256,
            bytes=str(checked.bytes),
            width=str(checked.width),
            height=str(checked.height),
            status=COLLECTED,
        )
        self.collected.add(row)
        self._by_digest[checked.sha256] = row
        self.counts[COLLECTED] += 1

    def reject(
        self, image: ListedImage, status: str, reason: str, *, path: str = "", final_url: str = ""
    ) -> None:
        """Record that an image is not collected.

        Parameters
        ----------
        image : ListedImage
            Its entry in the list.
        status : str
            A key of `failures.OUTCOMES`.
        reason : str
            Explanation for the user.
        path : str
            The image that is in the folder instead, if any.
        final_url : str
            URL after redirects.
        """
        self.counts[status] += 1
        self._rejected_now.add(image.url)
        self.not_collected.add(
            _new_row(image, path=path, final_url=final_url, status=status, reason=reason)
        )

    def close(self) -> None:
        """Close the manifests, with each URL in one of them."""
        self.collected.close()
        in_both = self.collected.rows.keys() & self.not_collected.rows.keys()
        self.not_collected.drop(in_both - self._rejected_now)

    def _reconcile(self) -> None:
        """Make the manifests agree with the files after a kill or a change by the user."""
        with explain_write_errors(self.root):
            for part in self.root.glob(f"*/.{'[0-9a-f]' * _DIGEST_DIGITS}.*{_PART_SUFFIX}"):
                part.unlink()
        paths = {row.path for row in self.collected.rows.values()}
        for row in self.not_collected.rows.values():
            is_present = row.path not in paths and str(_size(self.root / row.path)) == row.bytes
            if row.status == REMOVED and is_present:  # restored, e.g. by clean with undo=true
                paths.add(row.path)
                self.collected.add(replace(row, status=COLLECTED, reason=""))
        deleted, damaged = [], []
        for row in self.collected.rows.values():
            size = _size(self.root / row.path)
            if size is None:
                deleted.append(row)
            elif str(size) != row.bytes:  # e.g. after a power failure
                damaged.append(row)
        for row in deleted:
            self.not_collected.add(replace(row, status=REMOVED, reason=f"{row.path} was deleted"))
        if deleted or damaged:
            self.collected.drop([row.url for row in (*deleted, *damaged)])


@contextmanager
def open_collection(folder: Path) -> Iterator[Collection]:
    """Open a folder for collecting, for this process alone; create it if necessary.

    Parameters
    ----------
    folder : Path
        The folder.

    Raises
    ------
    BenchError
        If the folder cannot be created or written, contains another table, or is in use by another
        process.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        raise BenchError(
            f"into={folder}: {describe_os_error(error)}; choose another folder"
        ) from None
    refused = f"into={folder}: another process is collecting into this folder; wait until it ends"
    with hold_lock(folder / ".collecting.lock", refused=refused):
        collection = Collection(folder)
        try:
            yield collection
        finally:
            collection.close()


def _size(file: Path) -> int | None:
    try:
        return file.stat().st_size
    except OSError:
        return None


def _new_row(image: ListedImage, **cells: str) -> Row:
    """Return a row of an image with the current time."""
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Row(
        label=image.label,
        url=image.url,
        page=image.page,
        license=image.license,
        time=now,
        **cells,
    )
