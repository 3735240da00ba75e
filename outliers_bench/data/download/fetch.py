"""Fetch a file over unreliable connections, and verify it."""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable
from pathlib import Path

from outliers_bench.data.download.checksum import (
    DownloadError,
    FirstSeen,
    RemoteFile,
    find_mismatch,
)
from outliers_bench.data.download.http_download import transfer
from outliers_bench.runtime.http import ConnectionLostError, HttpError
from outliers_bench.runtime.progress import progress_bar
from outliers_bench.runtime.units import format_bytes

TRIES = 6  # consecutive connections without progress
TRIES_UNANSWERED = 3  # the same before a server has responded: there is probably no network
FIRST_PAUSE = 0.5  # seconds; doubled after each try
_MIN_PROGRESS = 1_000_000  # bytes of a connection, or 1% of a smaller file


def fetch(
    remote: RemoteFile,
    folder: Path,
    *,
    seen: FirstSeen,
    url: str | None = None,
    verify: bool = True,
    largest: int,
) -> bool:
    """Download a file into a folder, unless it is there.

    An incomplete download stays in `<name>.part` and is resumed, also by the next process. A
    download that differs from the published file is removed, reported, and tried once more.

    Parameters
    ----------
    remote : RemoteFile
        The file.
    folder : Path
        Target folder; the file is named `remote.name`. An existing file is verified and used.
    seen : FirstSeen
        Digests of first downloads.
    url : str or None
        Address to use instead of `remote.url`.
    verify : bool
        Whether size and digest must match the published ones.
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
        mismatch = find_mismatch(path, remote, seen) if verify else None
        if mismatch is None:
            return False
        raise DownloadError(f"{path} differs from the published file: {mismatch}; remove it")
    part = folder / f"{remote.name}.part"
    address = url or remote.url
    for last in (False, True):
        try:
            _download(
                address,
                part,
                size=remote.size if verify else None,
                largest=largest,
                checked=verify and remote.has_published_digest,
            )
        except (DownloadError, HttpError) as error:
            raise DownloadError(f"{address}: {error}") from None
        mismatch = find_mismatch(part, remote, seen) if verify else None
        if mismatch is None:
            break
        part.unlink()
        if last:
            raise DownloadError(
                f"{address}: the download differs from the published file: {mismatch}"
            )
        print(f"{remote.name}: {mismatch}; removed, trying again", file=sys.stderr)
    part.replace(path)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)
    return True


def _download(url: str, part: Path, *, size: int | None, largest: int, checked: bool) -> None:
    """Reconnect until the file is complete."""
    import requests

    name = part.name.removesuffix(".part")
    shown_size = "" if size is None else f" ({format_bytes(size)})"
    print(f"fetching {name}{shown_size} from {url}", file=sys.stderr)
    failures, answered = 0, False
    total = None if size is None else _mebibytes(size)
    with requests.Session() as session, progress_bar(total, unit="MiB") as move:
        report = _make_reporter(name, move)
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                transfer(
                    session,
                    url,
                    part,
                    size=size,
                    largest=largest,
                    checked=checked,
                    report=report,
                )
            except ConnectionLostError as lost:
                answered = answered or lost.reached
                after = part.stat().st_size if part.exists() else 0
                # A minimum, so that a trickle of bytes ends too.
                progressed = after - before >= min(_MIN_PROGRESS, (size or _MIN_PROGRESS) / 100)
                failures = 0 if progressed and after > before else failures + 1
                if failures >= (TRIES if answered else TRIES_UNANSWERED):
                    raise DownloadError(f"{lost} ({failures} tries)") from None
                pause = FIRST_PAUSE * 2 ** max(failures - 1, 0) * random.uniform(0.8, 1.2)  # noqa: S311
                time.sleep(max(pause, lost.pause))
            else:
                return


def _make_reporter(
    name: str, move: Callable[[int, str], None]
) -> Callable[[int, int | None], None]:
    def report(received: int, total: int | None) -> None:
        move(_mebibytes(received), name if total else f"{name}: {format_bytes(received)}")

    return report


def _mebibytes(size: int) -> int:
    return -(-size // 2**20)
