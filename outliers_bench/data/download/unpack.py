"""Archives unpacked as what they are: files of others, which may be out to do harm."""

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

from outliers_bench.data.download.checksum import DownloadError, format_bytes
from outliers_bench.data.image_files import reason

_PIECE = 1024 * 1024
_LONGEST_NAME = 1024
_MOST_AT_ONCE = 4 * _PIECE  # bytes that tarfile may ask for: names and headers, never content
_RATIO = 200  # unpacked bytes to packed ones; deflate reaches 1032 on zeros, photos stay below 2
_FREE_BYTES = 50_000_000  # that small archives may grow to at any ratio
_READ_ERRORS = (EOFError, zlib.error, tarfile.TarError, zipfile.BadZipFile, gzip.BadGzipFile)


@dataclass(frozen=True)
class Limits:
    """What an archive may at most become.

    Parameters
    ----------
    files : int
        Entries.
    size : int
        Bytes, unpacked.
    """

    files: int
    size: int


@dataclass
class _Count:
    """What has come out of one archive so far, held against the limits."""

    archive: Path
    limits: Limits
    entries: int = 0
    size: int = 0
    packed: int = field(init=False)

    def __post_init__(self) -> None:
        self.packed = self.archive.stat().st_size

    def entry(self) -> None:
        self.entries += 1
        if self.entries > self.limits.files:
            raise self.refusal(f"it holds more than {self.limits.files:,} entries")

    def bytes(self, number: int) -> None:
        self.size += number
        if self.size > self.limits.size:
            raise self.refusal(f"it grows beyond {format_bytes(self.limits.size)}")
        if self.size > _FREE_BYTES and self.size > _RATIO * self.packed:
            raise self.refusal(f"it grows to more than {_RATIO} times its size")

    def refusal(self, why: str) -> DownloadError:
        return DownloadError(f"{self.archive.name} is not unpacked: {why}")


def unpack(archive: Path, target: Path, *, limits: Limits, only: Sequence[str] = ()) -> None:
    """Unpack a zip, tar, tar.gz or gz file into a folder.

    Files and folders only: an entry that is a link or a device, lies outside the folder, stands
    twice, or grows beyond the limits is refused with all others, though what came before it may
    have been written. No owner, time or permission is taken over.

    Parameters
    ----------
    archive : Path
        Its name says what it is.
    target : Path
        Folder to unpack into; made if need be.
    limits : Limits
        What it may at most become.
    only : sequence of str
        Patterns, as of `fnmatch`, of entries to unpack; all where there are none. The others are
        checked all the same.

    Raises
    ------
    DownloadError
        If it is refused or damaged, or cannot be written.
    """
    count = _Count(archive, limits)
    target.mkdir(parents=True, exist_ok=True)
    name = archive.name.lower()
    try:
        if name.endswith(".zip"):
            _unzip(archive, target, count, only)
        elif name.endswith((".tar.gz", ".tgz", ".tar")):
            _untar(archive, target, count, only)
        elif name.endswith(".gz"):
            with gzip.open(archive) as source:
                _write(source, target / archive.name[:-3], count)
        else:
            raise count.refusal("neither .zip nor .tar nor .gz")
    except _READ_ERRORS as error:
        raise DownloadError(f"{archive} is damaged ({error}); remove it to fetch it anew") from None
    except (RuntimeError, NotImplementedError) as error:  # encrypted, an unknown compression
        raise count.refusal(str(error)) from None
    except OSError as error:
        raise DownloadError(f"{archive} cannot be unpacked to {target}: {reason(error)}") from None


def _unzip(archive: Path, target: Path, count: _Count, only: Sequence[str]) -> None:
    with zipfile.ZipFile(archive) as opened:
        entries = opened.infolist()
        for entry in entries:
            count.entry()
            kind = stat.S_IFMT(entry.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise count.refusal(f"{entry.filename} is a link or a device")
            path = _inside(target, entry.filename, count)
            if not entry.is_dir() and _wanted(entry.filename, only):
                with opened.open(entry) as source:
                    _write(source, path, count)


def _untar(archive: Path, target: Path, count: _Count, only: Sequence[str]) -> None:
    with _stream(archive) as stream, tarfile.open(fileobj=stream, mode="r:") as opened:
        for entry in opened:
            count.entry()
            path = _inside(target, entry.name, count)
            if entry.isdir():
                continue
            if not entry.isreg() or entry.issparse():
                raise count.refusal(f"{entry.name} is a link or a device")
            source = opened.extractfile(entry)
            if source is not None and _wanted(entry.name, only):
                with source:
                    _write(source, path, count, expected=entry.size)
        while stream.read(_PIECE):  # to the end, where the checksum of gzip is
            pass


@contextmanager
def _stream(archive: Path) -> Iterator[IO[bytes]]:
    """What is in a tar file, never more of it in memory than a header needs."""
    opener: Any = open if archive.name.lower().endswith(".tar") else gzip.open
    with opener(archive, "rb") as file:
        yield _Frugal(file, archive.name)  # type: ignore[misc]


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Frugal:
    """A file of which no more is read at once than tarfile needs for honest archives."""

    def __init__(self, file: IO[bytes], name: str) -> None:
        self._file, self._name = file, name
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= _MOST_AT_ONCE:
            raise DownloadError(f"{self._name} is not unpacked: a name in it is endless")
        return self._file.read(size)


def _inside(target: Path, name: str, count: _Count) -> Path:
    """Where an entry goes, which must be below the target on any system."""
    path = PurePosixPath(name.replace("\\", "/"))
    outside = path.is_absolute() or ".." in path.parts or PureWindowsPath(name).drive
    if outside or "\0" in name or len(name) > _LONGEST_NAME:
        raise count.refusal(f"an entry is called {name[:100]!r}, which leads out of the folder")
    return target / path


def _wanted(name: str, only: Sequence[str]) -> bool:
    return not only or any(fnmatchcase(name.removeprefix("./"), pattern) for pattern in only)


def _write(source: _Readable, path: Path, count: _Count, *, expected: int | None = None) -> None:
    before = count.size
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with path.open("xb") as file:
            while piece := source.read(_PIECE):
                count.bytes(len(piece))
                file.write(piece)
    except FileExistsError:
        raise count.refusal(f"{path.name} stands twice in it") from None
    if expected is not None and count.size - before != expected:
        raise EOFError(f"{path.name} ends after {count.size - before:,} of {expected:,} bytes")
