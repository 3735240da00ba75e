"""Files to download, and their verification by size and digest."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.errors import BenchError


class DownloadError(BenchError):
    """Download that failed for a reason that retries do not fix; the message says why."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file.

    Parameters
    ----------
    name : str
        File name, also on a mirror.
    url : str
        Address at the publisher.
    size : int or None
        Size in bytes; None if unknown.
    sha256, md5 : str or None
        Published digests, hexadecimal. Without either, the digest of the first download counts.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def has_published_digest(self) -> bool:
        """True if the publisher gives a digest."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True)
class FirstSeen:
    """SHA-256 digests of first downloads, for files without a published digest.

    Parameters
    ----------
    file : Path
        A JSON file; created when the first digest is recorded.
    """

    file: Path

    def digest(self, name: str) -> str | None:
        """Return the recorded digest of a file, or None."""
        return self._read().get(name)

    def record(self, name: str, digest: str) -> None:
        """Record a digest; the file is replaced atomically."""
        digests = {**self._read(), name: digest}
        write_text_atomically(self.file, json.dumps(digests, indent=1) + "\n")

    def _read(self) -> dict[str, str]:
        try:
            return dict(json.loads(self.file.read_text()))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise DownloadError(
                f"{self.file} cannot be read ({error}); it contains the digests of first "
                "downloads: repair it, or remove it to trust the next download"
            ) from None


def find_mismatch(path: Path, remote: RemoteFile, seen: FirstSeen) -> str | None:
    """Describe how a file differs from the published one; None if it does not.

    The first download of a file without a published digest is accepted, and its digest recorded.

    Parameters
    ----------
    path : Path
        The complete file.
    remote : RemoteFile
        The published file.
    seen : FirstSeen
        Digests of first downloads.
    """
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"it has {size:,} bytes, the published file {remote.size:,}"
    kind = "md5" if remote.md5 and not remote.sha256 else "sha256"
    expected = remote.sha256 or remote.md5
    with path.open("rb") as file:
        actual = hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()
    if expected is not None:
        if actual == expected:
            return None
        return f"its {kind} is {actual}, the published one {expected}"
    first = seen.digest(remote.name)
    if first is None:
        seen.record(remote.name, actual)
    elif actual != first:
        return (
            f"its sha256 is {actual}, and was {first} at the first download; if the publisher has "
            f"changed it, remove {seen.file}"
        )
    return None


def write_text_atomically(file: Path, text: str) -> None:
    """Write a small file atomically."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    unfinished.write_text(text)
    unfinished.replace(file)
