"""Fetch a file over unreliable connections, and verify it."""

from __future__ import annotations

import sys
import time
from pathlib import Path

from outliers_bench.data.download.checksum import DownloadError, RemoteFile, find_mismatch
from outliers_bench.data.download.http_download import transfer
from outliers_bench.runtime.http import ConnectionLostError, HttpError
from outliers_bench.runtime.progress import progress_bar
from outliers_bench.runtime.units import format_bytes

TRIES = 5  # consecutive connections without progress
FIRST_PAUSE = 0.5  # seconds; doubled after each try


def fetch(remote: RemoteFile, folder: Path, *, first_seen: Path | None, largest: int) -> bool:
    """Download a file into a folder, unless it is there.

    An incomplete download stays in `<name>.part` and is resumed, also by the next process. A
    download that differs from the published file is removed, reported, and tried once more.

    Parameters
    ----------
    remote : RemoteFile
    folder : Path
        Target folder. A file of that name is verified and used.
    first_seen : Path or None
        Digests of first downloads, see `compare_with_first`; None to accept any content.
    largest : int
        Maximum number of bytes if the size is unknown.

    Returns
    -------
    bool
        Whether the file was downloaded; False if it was there already.

    Raises
    ------
    DownloadError
        If the download fails, or the file differs from the published one.
    """
    path = folder / remote.name
    if path.exists():
        if mismatch := find_mismatch(path, remote, first_seen):
            raise DownloadError(f"{path} differs from the published file: {mismatch}; remove it")
        return False
    part = folder / f"{remote.name}.part"
    for last in (False, True):
        try:
            _download(remote, part, largest)
        except (DownloadError, HttpError) as error:
            raise DownloadError(f"{remote.url}: {error}") from None
        mismatch = find_mismatch(part, remote, first_seen)
        if mismatch is None:
            break
        part.unlink()
        if last:
            raise DownloadError(
                f"{remote.url}: the download differs from the published file: {mismatch}"
            )
        print(f"{remote.name}: {mismatch}; removed, trying again", file=sys.stderr)
    part.replace(path)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)
    return True


def _download(remote: RemoteFile, part: Path, largest: int) -> None:
    """Reconnect until the file is complete."""
    import requests

    shown_size = "" if remote.size is None else f" ({format_bytes(remote.size)})"
    print(f"fetching {remote.name}{shown_size} from {remote.url}", file=sys.stderr)
    failures, furthest = 0, part.stat().st_size if part.exists() else 0
    total = None if remote.size is None else _mebibytes(remote.size)
    with requests.Session() as session, progress_bar(total, unit="MiB") as move:
        while True:
            try:
                transfer(
                    session,
                    remote,
                    part,
                    largest=largest,
                    report=lambda received: move(_mebibytes(received), remote.name),
                )
            except ConnectionLostError as lost:
                received = part.stat().st_size if part.exists() else 0
                # Not just more than before: a server without ranges starts again.
                failures = 0 if received > furthest else failures + 1
                furthest = max(furthest, received)
                if failures == TRIES:
                    raise DownloadError(f"{lost} ({TRIES} tries)") from None
                time.sleep(max(lost.pause, FIRST_PAUSE * 2 ** max(failures - 1, 0)))
            else:
                return


def _mebibytes(size: int) -> int:
    return -(-size // 2**20)
