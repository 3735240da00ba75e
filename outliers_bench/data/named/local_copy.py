"""The files of a named data set on this machine: downloaded and unpacked on first use."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from outliers_bench.data.download.checksum import DownloadError, FirstSeen, format_bytes
from outliers_bench.data.image_files import reason
from outliers_bench.data.named.metadata import About
from outliers_bench.errors import BenchError
from outliers_bench.runtime.progress import status


def home(about: About, cache: Path, *, url: str | None = None, verify: bool = True) -> Path:
    """The folder of a data set in the cache.

    What was not verified has one of its own for each address, never to be taken for the data set
    that is published.
    """
    folder = cache / "datasets" / (about.part_of or about).name
    if verify:
        return folder
    mirror = hashlib.sha256((url or "").encode()).hexdigest()[:8]
    return folder.with_name(f"{folder.name}-unverified-{mirror}")


def is_here(about: About, cache: Path) -> bool:
    """Whether a data set is downloaded and unpacked."""
    return (home(about, cache) / "files").is_dir()


def place(about: About, cache: Path, *, url: str | None = None, verify: bool = True) -> Path:
    """The folder with a data set's files; they are downloaded and unpacked if need be.

    One process at a time. A kill at any moment loses nothing that was downloaded: files are
    unpacked into a folder aside, which becomes the data set in one step.

    Parameters
    ----------
    about : About
    cache : Path
        Directory of what is kept between runs.
    url : str or None
        A mirror: a folder on the web that has the files under their names.
    verify : bool
        Whether the files must be the published ones.

    Raises
    ------
    BenchError
        If they cannot be had; says how else.
    """
    folder = home(about, cache, url=url, verify=verify)
    files = folder / "files"
    if files.is_dir():
        return files
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _alone(folder.with_name(f"{folder.name}.lock"), about.name):
            if not files.is_dir():
                _fill(about, folder, url=url, verify=verify)
    except DownloadError as error:
        raise BenchError(f"data={about.name}: {error}. {_ways_out(about, folder, url)}") from None
    except OSError as error:
        raise BenchError(
            f"data={about.name}: {folder} cannot be written ({reason(error)}); give another place "
            "as cache.dir=<folder>"
        ) from None
    return files


def _fill(about: About, folder: Path, *, url: str | None, verify: bool) -> None:
    from outliers_bench.data.download.fetch import fetch

    aside = folder / "unpacking"
    if aside.exists():  # of a process that was killed
        shutil.rmtree(aside)
    seen = FirstSeen(folder.with_name(f"{folder.name}.first-seen.json"))
    if verify:  # an excerpt needs less
        _check_room(about, folder)
    by_hand = all((folder / remote.name).exists() for remote in about.files)
    if about.kaggle and url is None and not by_hand:
        from outliers_bench.data.named import kaggle

        kaggle.download(about.kaggle, aside, seen=seen)
        aside.rename(folder / "files")
        return
    fetched = [
        remote.name
        for remote in about.files
        if fetch(
            remote,
            folder,
            seen=seen,
            url=_on_mirror(url, remote.name),
            verify=verify,
            largest=about.most_bytes,
        )
    ]
    with status(f"unpacking {about.name}"):
        _unpack(about, folder, aside)
    aside.rename(folder / "files")
    for name in fetched:  # what was put there by hand is its owner's
        (folder / name).unlink()


def _unpack(about: About, folder: Path, aside: Path) -> None:
    from outliers_bench.data.download.unpack import Limits, unpack

    limits = Limits(files=about.most_files, size=about.most_bytes)
    for remote in about.files:
        unpack(folder / remote.name, aside, limits=limits, only=about.only)
    for inner in about.nested:
        archive = aside / inner
        if not archive.is_file():
            raise DownloadError(f"there is no {inner} in {about.files[0].name}")
        unpack(archive, archive.parent, limits=limits)
        archive.unlink()


def _check_room(about: About, folder: Path) -> None:
    """Refuse a disk without room for what is still to be downloaded, and all of it unpacked."""
    if about.size is None:
        return
    there = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    needed = max(0, about.size - there) + about.size * (2 if about.nested else 1)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"data={about.name}: {format_bytes(needed)} are needed in {folder}, and {format_bytes(free)} "
            "are free; give another place as cache.dir=<folder>"
        )


def _on_mirror(url: str | None, name: str) -> str | None:
    if url is None:
        return None
    return url if url.rpartition("/")[2] == name else f"{url.rstrip('/')}/{name}"


def _ways_out(about: About, folder: Path, url: str | None) -> str:
    lies = "give the run the folder where the photos lie already, data.root=<folder>"
    if url is not None:
        return f"Leave out data.url= to fetch what is published, or {lies}"
    files = ", ".join(remote.url for remote in about.files)
    them = "it as" if len(about.files) == 1 else "them into"
    target = folder / about.files[0].name if len(about.files) == 1 else folder
    return (
        f"Without network, fetch {files} elsewhere and put {them} {target}; or {lies}, or a "
        "mirror, data.url=<address>"
    )


@contextmanager
def _alone(lock: Path, name: str) -> Iterator[None]:
    """Hold a lock; say so where another process has it."""
    from filelock import FileLock, Timeout

    held = FileLock(lock)
    try:
        held.acquire(timeout=0)
    except Timeout:
        with status(f"waiting for another process that fetches {name}"):
            held.acquire()
    try:
        yield
    finally:
        held.release()
