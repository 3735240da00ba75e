"""Local files of a named data set, downloaded and unpacked on first use."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from functools import partial
from pathlib import Path

from outliers_bench.data.download.checksum import DownloadError, RemoteFile
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.data.named.metadata import DatasetInfo
from outliers_bench.errors import BenchError
from outliers_bench.runtime.lock import hold_lock
from outliers_bench.runtime.progress import status
from outliers_bench.runtime.units import format_bytes


def dataset_dir(info: DatasetInfo, cache: Path) -> Path:
    """Return the folder of a data set in the cache.

    Unverified files have a separate folder per address, so that they are never mistaken for the
    published data set.
    """
    folder = cache / "datasets" / (info.part_of or info).name
    if info.verify:
        return folder
    mirror = hashlib.sha256((info.mirror or "").encode()).hexdigest()[:8]
    return folder.with_name(f"{folder.name}-unverified-{mirror}")


def ensure_downloaded(info: DatasetInfo, cache: Path) -> Path:
    """Return the folder with a data set's files; download and unpack them if necessary.

    One process at a time. Killing the process loses nothing that was downloaded: files are unpacked
    into a temporary folder, which is renamed at the end.

    Raises
    ------
    BenchError
        If the download fails; the message suggests alternatives.
    """
    folder = dataset_dir(info, cache)
    files = folder / "files"
    if files.is_dir():
        return files
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder.with_name(f"{folder.name}.lock")
        waiting = f"waiting for another process that is downloading {info.name}"
        with hold_lock(lock, waiting=waiting):
            if not files.is_dir():
                _download_and_unpack(info, folder)
    except DownloadError as error:
        raise BenchError(
            f"data={info.name}: {error}. {_suggest_alternatives(info, folder)}"
        ) from None
    except OSError as error:
        raise BenchError(
            f"data={info.name}: {folder} cannot be written ({describe_os_error(error)}); "
            "choose another folder with cache.dir=<folder>"
        ) from None
    return files


def _download_and_unpack(info: DatasetInfo, folder: Path) -> None:
    from outliers_bench.data.download.fetch import fetch

    unpacked = folder / "unpacking"
    if unpacked.exists():  # left by a killed process
        shutil.rmtree(unpacked)
    first_seen = folder.with_name(f"{folder.name}.first-seen.json")
    if info.verify:  # an excerpt needs less space
        _check_disk_space(info, folder)
    has_archives = all((folder / remote.name).exists() for remote in info.files)
    downloaded = []
    if info.kaggle and info.mirror is None and not has_archives:
        from outliers_bench.data.named import kaggle

        kaggle.download(info.kaggle, unpacked, first_seen=first_seen)
    else:
        for remote in (_locate(published, info) for published in info.files):
            seen = first_seen if info.verify else None
            if fetch(remote, folder, first_seen=seen, largest=info.max_bytes):
                downloaded.append(folder / remote.name)
        with status(f"unpacking {info.name}"):
            _unpack(info, folder, unpacked)
    unpacked.rename(folder / "files")
    for archive in downloaded:  # archives that the user put there stay
        archive.unlink()


def _locate(remote: RemoteFile, info: DatasetInfo) -> RemoteFile:
    """Return a file at its address, on the mirror if there is one."""
    url = remote.url
    if info.mirror is not None:
        given = info.mirror.rpartition("/")[2] == remote.name
        url = info.mirror if given else f"{info.mirror.rstrip('/')}/{remote.name}"
    return replace(remote, url=url) if info.verify else RemoteFile(remote.name, url)


def _unpack(info: DatasetInfo, folder: Path, unpacked: Path) -> None:
    from outliers_bench.data.download.unpack import unpack

    unpack_within = partial(unpack, max_files=info.max_files, max_bytes=info.max_bytes)
    for remote in info.files:
        unpack_within(folder / remote.name, unpacked, only=info.only)
    for inner in info.nested:
        archive = unpacked / inner
        if not archive.is_file():
            raise DownloadError(f"there is no {inner} in {info.files[0].name}")
        unpack_within(archive, archive.parent)
        archive.unlink()


def _check_disk_space(info: DatasetInfo, folder: Path) -> None:
    """Raise `BenchError` if there is too little disk space for the download and its contents."""
    if info.size is None:
        return
    present = sum(path.stat().st_size for path in folder.iterdir() if path.is_file())
    needed = max(0, info.size - present) + info.size * (2 if info.nested else 1)
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BenchError(
            f"data={info.name}: {format_bytes(needed)} are needed in {folder}, and "
            f"{format_bytes(free)} are free; choose another folder with cache.dir=<folder>"
        )


def _suggest_alternatives(info: DatasetInfo, folder: Path) -> str:
    local = "use a folder that contains the photos already, data.root=<folder>"
    if info.mirror is not None:
        return f"Omit data.url= to download the published files, or {local}"
    files = ", ".join(remote.url for remote in info.files)
    put = "put it as" if len(info.files) == 1 else "put them into"
    target = folder / info.files[0].name if len(info.files) == 1 else folder
    return (
        f"Without a network, download {files} elsewhere and {put} {target}; or {local}, or a "
        "mirror, data.url=<address>"
    )
