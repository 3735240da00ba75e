"""Unpack archives from untrusted sources."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any

from outliers_bench.data.download.checksum import DownloadError
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.runtime.units import format_bytes

_CHUNK = 1024 * 1024
_MAX_RATIO = 200  # unpacked to packed bytes; deflate reaches 1032 on zeros, photos are below 2
_FREE_BYTES = 50_000_000  # size up to which the ratio is not checked
_READ_ERRORS = (EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile)


class _RefusedError(Exception):
    """An archive that is not unpacked; the message says why."""


class _BoundedReader:
    """File of which tarfile reads more at once than `_CHUNK` for malicious headers only."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self.seek, self.tell = file, file.seek, file.tell

    def read(self, size: int) -> bytes:
        if not 0 <= size <= _CHUNK:
            raise _RefusedError("the name of an entry is too long")
        return self._file.read(size)


def unpack(
    archive: Path, target: Path, *, max_files: int, max_bytes: int, only: Sequence[str] = ()
) -> None:
    """Unpack a zip, tar, tar.gz or gz file into a folder.

    The archive is refused if an entry is a link or a device, is outside the folder, occurs twice,
    or exceeds the limits; earlier entries may have been written already. Owners, times, and
    permissions are ignored.

    Parameters
    ----------
    archive : Path
        The archive; the format is detected from the extension.
    target : Path
        Folder to unpack into; created if necessary.
    max_files, max_bytes : int
        Maximum number of entries, and of unpacked bytes.
    only : sequence of str
        Patterns (`fnmatch`) of the entries to unpack; empty for all. Other entries are still
        checked.

    Raises
    ------
    DownloadError
        If the archive is refused or damaged, or the files cannot be written.
    """
    try:
        _unpack(archive, target, max_files, max_bytes, only)
    except _READ_ERRORS as error:
        raise DownloadError(
            f"{archive} is damaged ({error}); remove it to download it again"
        ) from None
    except OSError as error:
        raise DownloadError(
            f"{archive} cannot be unpacked to {target}: {describe_os_error(error)}"
        ) from None
    except (_RefusedError, RuntimeError, NotImplementedError) as error:  # encrypted, unknown method
        raise DownloadError(f"{archive.name} is not unpacked: {error}") from None


def _unpack(
    archive: Path, target: Path, max_files: int, max_bytes: int, only: Sequence[str]
) -> None:
    target.mkdir(parents=True, exist_ok=True)
    packed, size = archive.stat().st_size, 0
    for number, (name, source) in enumerate(_entries(archive), start=1):
        if number > max_files:
            raise _RefusedError(f"it contains more than {max_files:,} entries")
        path = _target_path(target, name)
        if source is None or not _is_selected(name, only):
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            raise _RefusedError(f"it contains {path.name} twice")
        with source, path.open("xb") as file:
            while chunk := source.read(_CHUNK):
                size += len(chunk)
                if size > max_bytes:
                    raise _RefusedError(f"it grows beyond {format_bytes(max_bytes)}")
                if size > _FREE_BYTES and size > _MAX_RATIO * packed:
                    raise _RefusedError(f"it grows to more than {_MAX_RATIO} times its size")
                file.write(chunk)


def _entries(archive: Path) -> Iterator[tuple[str, IO[bytes] | gzip.GzipFile | None]]:
    """Yield name and content of each entry; no content for a folder."""
    name = archive.name.lower()
    if name.endswith(".zip"):
        with zipfile.ZipFile(archive) as opened:
            for item in opened.infolist():
                kind = stat.S_IFMT(item.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _RefusedError(f"{item.filename} is a link or a device")
                yield item.filename, None if item.is_dir() else opened.open(item)
    elif name.endswith((".tar.gz", ".tgz", ".tar")):
        opener: Any = open if name.endswith(".tar") else gzip.open
        with (
            opener(archive, "rb") as stream,
            tarfile.open(fileobj=_BoundedReader(stream), mode="r:") as entries,  # type: ignore[call-overload]
        ):
            for entry in entries:
                if not (entry.isdir() or entry.isreg()) or entry.issparse():
                    raise _RefusedError(f"{entry.name} is a link or a device")
                yield entry.name, entries.extractfile(entry)
            while stream.read(_CHUNK):  # to the end of the file, where gzip has its checksum
                pass
    elif name.endswith(".gz"):
        with gzip.open(archive) as source:
            yield archive.name[:-3], source
    else:
        raise _RefusedError("it is not a .zip, .tar, or .gz file")


def _target_path(target: Path, name: str) -> Path:
    """Return the path of an entry, which must be below the target on any operating system."""
    path = PurePosixPath(name.replace("\\", "/"))
    if not path.parts:
        raise _RefusedError("an entry has no name")
    outside = path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive
    if outside or "\0" in name or len(name) > 1024:
        raise _RefusedError(f"entry {name[:100]!r} is outside the folder")
    return target / path


def _is_selected(name: str, only: Sequence[str]) -> bool:
    return not only or any(fnmatchcase(name.removeprefix("./"), pattern) for pattern in only)
