"""A file from the web, complete and checked, however often the connection breaks."""

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
    format_bytes,
    mismatch,
)
from outliers_bench.data.download.http_download import Interrupted, transfer
from outliers_bench.runtime.progress import counted

TRIES = 6  # connections in a row that bring nothing new
TRIES_UNANSWERED = 3  # as many while no server has answered: there is probably no network
FIRST_PAUSE = 0.5  # seconds; doubled from one try to the next
_MEGABYTE = 1_000_000


def fetch(
    remote: RemoteFile,
    folder: Path,
    *,
    seen: FirstSeen,
    url: str | None = None,
    verify: bool = True,
    largest: int,
) -> bool:
    """Have a file in a folder, downloaded if it is not there.

    What has come is kept in `<name>.part` and taken up again, by the next process too. A download
    that is not what was published is removed, told, and tried once more.

    Parameters
    ----------
    remote : RemoteFile
    folder : Path
        Where it goes, as `remote.name`. A file of that name that is there is checked and taken.
    seen : FirstSeen
        Digests at the first download.
    url : str or None
        Where it lies instead of `remote.url`.
    verify : bool
        Whether size and digest must be the published ones.
    largest : int
        Most bytes that are taken where the size is not known.

    Returns
    -------
    bool
        Whether it was downloaded; False where it lay there.

    Raises
    ------
    DownloadError
        If it cannot be had, or is not what was published.
    """
    path = folder / remote.name
    if path.exists():
        wrong = mismatch(path, remote, seen) if verify else None
        if wrong is None:
            return False
        raise DownloadError(f"{path} is not what was published: {wrong}; remove it")
    part = folder / f"{remote.name}.part"
    address = url or remote.url
    for last in (False, True):
        try:
            _download(
                address,
                part,
                size=remote.size if verify else None,
                largest=largest,
                checked=verify and remote.published,
            )
        except DownloadError as error:
            raise DownloadError(f"{address}: {error}") from None
        wrong = mismatch(part, remote, seen) if verify else None
        if wrong is None:
            break
        part.unlink()
        if last:
            raise DownloadError(f"{address}: what comes is not what was published: {wrong}")
        print(f"{remote.name}: {wrong}; removed, once more", file=sys.stderr)
    part.replace(path)
    part.with_name(f"{part.name}.json").unlink(missing_ok=True)
    return True


def _download(url: str, part: Path, *, size: int | None, largest: int, checked: bool) -> None:
    """Connect again and again until the file is complete."""
    import requests

    name = part.name.removesuffix(".part")
    about = "" if size is None else f" ({format_bytes(size)})"
    print(f"fetching {name}{about} from {url}", file=sys.stderr)
    in_vain, answered = 0, False
    total = None if size is None else _megabytes(size)
    with requests.Session() as session, counted(total, unit="MB") as move:
        tell = _teller(name, move)
        while True:
            before = part.stat().st_size if part.exists() else 0
            try:
                transfer(session, url, part, size=size, largest=largest, checked=checked, tell=tell)
            except Interrupted as broken:
                answered = answered or broken.answered
                after = part.stat().st_size if part.exists() else 0
                # A hundredth of the file at least, so that a trickle comes to an end.
                gained = after - before >= min(_MEGABYTE, (size or _MEGABYTE) / 100)
                in_vain = 0 if gained and after > before else in_vain + 1
                if in_vain >= (TRIES if answered else TRIES_UNANSWERED):
                    raise DownloadError(f"{broken} ({in_vain} tries)") from None
                pause = FIRST_PAUSE * 2 ** max(in_vain - 1, 0) * random.uniform(0.8, 1.2)  # noqa: S311
                time.sleep(max(pause, broken.pause))
            else:
                return


def _teller(name: str, move: Callable[[int, str], None]) -> Callable[[int, int | None], None]:
    def tell(have: int, whole: int | None) -> None:
        move(_megabytes(have), name if whole else f"{name}: {format_bytes(have)}")

    return tell


def _megabytes(size: int) -> int:
    return -(-size // _MEGABYTE)
