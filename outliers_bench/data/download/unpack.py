"""Unpack archives from untrusted sources."""

from __future__ import annotations

import gzip
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, Any, Protocol

from outliers_bench.data.download.checksum import DownloadError
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.runtime.units import format_bytes

_CHUNK = 1024 * 1024
_MAX_NAME = 1024
_MAX_READ = 4 * _CHUNK  # bytes that tarfile may request: names and headers, never content
_MAX_RATIO = 200  # unpacked to packed bytes; deflate reaches 1032 on zeros, photos are below 2
_FREE_BYTES = 50_000_000  # size up to which the ratio is not checked
_READ_ERRORS = (EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile)


@dataclass(frozen=True)
class Limits:
    """Limits on the contents of an archive.

    Parameters
    ----------
    files : int
        Maximum number of entries.
    size : int
        Maximum unpacked size in bytes.
    """

    files: int
    size: int


@dataclass
class _Usage:
    """Entries and bytes unpacked from one archive so far, checked against the limits."""

    archive: Path
    limits: Limits
    entries: int = 0
    size: int = 0
    packed: int = field(init=False)

    def __post_init__(self) -> None:
        self.packed = self.archive.stat().st_size

    def add_entry(self) -> None:
        self.entries += 1
        if self.entries > self.limits.files:
            raise self.refusal(f"it contains more than {self.limits.files:,} entries")

    def add_bytes(self, number: int) -> None:
        self.size += number
        if self.size > self.limits.size:
            raise self.refusal(f"it grows beyond {format_bytes(self.limits.size)}")
        if self.size > _FREE_BYTES and self.size > _MAX_RATIO * self.packed:
            raise self.refusal(f"it grows to more than {_MAX_RATIO} times its size")

    def refusal(self, why: str) -> DownloadError:
        return DownloadError(f"{self.archive.name} is not unpacked: {why}")


def unpack(archive: Path, target: Path, *, limits: Limits, only: Sequence[str] = ()) -> None:
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
    limits : Limits
        Limits on its contents.
    only : sequence of str
        Patterns (`fnmatch`) of the entries to unpack; empty for all. Other entries are still
        checked.

    Raises
    ------
    DownloadError
        If the archive is refused or damaged, or the files cannot be written.
    """
    usage = _Usage(archive, limits)
    target.mkdir(parents=True, exist_ok=True)
    name = archive.name.lower()
    try:
        if name.endswith(".zip"):
            _unzip(archive, target, usage, only)
        elif name.endswith((".tar.gz", ".tgz", ".tar")):
            _untar(archive, target, usage, only)
        elif name.endswith(".gz"):
            with gzip.open(archive) as source:
                _write(source, target / archive.name[:-3], usage)
        else:
            raise usage.refusal("it is not a .zip, .tar, or .gz file")
    except _READ_ERRORS as error:
        raise DownloadError(
            f"{archive} is damaged ({error}); remove it to download it again"
        ) from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, an unknown compression
        raise usage.refusal(str(error)) from None
    except OSError as error:
        raise DownloadError(
            f"{archive} cannot be unpacked to {target}: {describe_os_error(error)}"
        ) from None


def _unzip(archive: Path, target: Path, usage: _Usage, only: Sequence[str]) -> None:
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        for entry in entries:
            usage.add_entry()
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise usage.refusal(f"{entry.filename} is a link or a device")
            path = _target_path(target, entry.filename, usage)
            if not entry.is_dir() and _is_selected(entry.filename, only):
                with opened.open(entry) as source:
                    _write(source, path, usage)


def _untar(archive: Path, target: Path, usage: _Usage, only: Sequence[str]) -> None:
    with _stream(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
        for entry in opened:
            usage.add_entry()
            path = _target_path(target, entry.name, usage)
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise usage.refusal(f"{entry.name} is a link or a device")
            source = opened.extractfile(entry)
            if source is not None and _is_selected(entry.name, only):
                with source:
                    _write(source, path, usage, expected=entry.size)
        while stream.read(_CHUNK):  # to the end of the file, where gzip has its checksum
            pass


@contextmanager
def _stream(archive: Path) -> Iterator[IO[bytes]]:
    """Open the contents of a tar file with bounded reads."""
    opener: Any = open if archive.name.lower().endswith(".tar") else gzip.open
    with opener(archive, "rb") as file:
        yield _BoundedReader(file, archive.name)  # type: ignore[misc]


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _BoundedReader:
    """File with a limit on the size of a read, which tarfile exceeds for malicious headers only."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MAX_READ:
            raise DownloadError(f"{self._name} is not unpacked: the name of an entry is too long")
        return self._file.read(size)


def _target_path(target: Path, name: str, usage: _Usage) -> Path:
    """Return the path of an entry, which must be below the target on any operating system."""
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive
    if outside or "\0" in name or len(name) > _MAX_NAME:
        raise usage.refusal(f"entry {name[:100]!r} is outside the folder")
    return target / path


def _is_selected(name: str, only: Sequence[str]) -> bool:
    return not only or any(fnmatchcase(name.removeprefix("./"), pattern) for pattern in only)


def _write(source: _Readable, path: Path, usage: _Usage, *, expected: int | None = None) -> None:
    before = usage.size
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            while chunk := source.read(_CHUNK):
                usage.add_bytes(len(chunk))
                file.write(chunk)
    except FileExistsError:
        raise usage.refusal(f"it contains {path.name} twice") from None
    if expected is not None and usage.size - before != expected:
        raise EOFError(f"{path.name} ends after {usage.size - before:,} of {expected:,} bytes")
