"""Index files with a checksum and a header, which guard against damaged or mismatched files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_MAGIC = b"outliers-bench index 1\n"
_DIGEST_BYTES = 16
_CHUNK = 1 << 20


class ChecksumWriter:
    """File writer that computes a digest of everything written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def write(self, data: bytes | memoryview) -> int:
        """Append data and update the digest."""
        self._digest.update(data)
        return self._file.write(data)

    def digest(self) -> bytes:
        """Return the digest of everything written."""
        return self._digest.digest()


@contextmanager
def open_for_writing(path: Path, header: Mapping[str, str]) -> Iterator[ChecksumWriter]:
    """Open a file for writing; the checksum is added when the block ends without an error.

    Parameters
    ----------
    path : Path
        An existing file is overwritten.
    header : mapping of str to str
        Description of the content; `open_for_reading` requires the same.
    """
    with path.open("wb") as file:
        file.write(_MAGIC + bytes(_DIGEST_BYTES))
        writer = ChecksumWriter(file)
        writer.write(_header_line(header))
        yield writer
        file.seek(len(_MAGIC))
        file.write(writer.digest())


@contextmanager
def open_for_reading(path: Path, header: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """Open a file with a checksum, positioned at the beginning of its content.

    The checksum is verified first, since libraries may crash on a damaged file.

    Raises
    ------
    ValueError
        If the file is damaged or has another header.
    """
    with path.open("rb") as file:
        head = file.read(len(_MAGIC) + _DIGEST_BYTES)
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        if head != _MAGIC + digest.digest():
            raise ValueError(f"{path} is damaged or not an index")
        file.seek(len(head))
        line = file.readline()
        if line != _header_line(header):
            raise ValueError(f"{path} contains {line.decode().strip()}, not {dict(header)}")
        yield file


def _header_line(header: Mapping[str, str]) -> bytes:
    return json.dumps(header, sort_keys=True).encode() + b"\n"
