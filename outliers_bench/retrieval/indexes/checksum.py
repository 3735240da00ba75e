"""Files of indexes: a digest in front says whether what follows is whole, and what it is of."""

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
    """Writes to a file and digests what goes by."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self._digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)

    def write(self, data: bytes | memoryview) -> int:
        """Append."""
        self._digest.update(data)
        return self._file.write(data)

    def seal(self) -> bytes:
        """The digest of all that was written."""
        return self._digest.digest()


@contextmanager
def open_for_writing(path: Path, said: Mapping[str, str]) -> Iterator[ChecksumWriter]:
    """A file to write to, sealed when the block ends well.

    Parameters
    ----------
    path : Path
        What is there is overwritten.
    header : mapping of str to str
        What the file is of; `open_for_reading` wants the same.
    """
    with path.open("wb") as file:
        file.write(_MAGIC + bytes(_DIGEST_BYTES))
        sealing = ChecksumWriter(file)
        sealing.write(_line(said))
        yield sealing
        file.seek(len(_MAGIC))
        file.write(sealing.seal())


@contextmanager
def open_for_reading(path: Path, said: Mapping[str, str]) -> Iterator[IO[bytes]]:
    """A sealed file, to be read from where its content begins.

    Libraries trust what they read, and may crash over a file that is damaged. So they get none.

    Raises
    ------
    ValueError
        If the file is damaged, or is of something else.
    """
    with path.open("rb") as file:
        head = file.read(len(_MAGIC) + _DIGEST_BYTES)
        digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
        while chunk := file.read(_CHUNK):
            digest.update(chunk)
        if head != _MAGIC + digest.digest():
            raise ValueError(f"{path} is damaged, or no index")
        file.seek(len(head))
        found = file.readline()
        if found != _line(said):
            raise ValueError(f"{path} is of {found.decode().strip()}, not of {dict(said)}")
        yield file


def _line(said: Mapping[str, str]) -> bytes:
    return json.dumps(said, sort_keys=True).encode() + b"\n"
