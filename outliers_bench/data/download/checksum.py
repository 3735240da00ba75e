"""What is to be downloaded, and how it is known to be the right thing."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.errors import BenchError


class DownloadError(BenchError):
    """A file that cannot be had, and trying again would not help; the message says why."""


@dataclass(frozen=True)
class RemoteFile:
    """A file that somebody publishes.

    Parameters
    ----------
    name : str
        What it is called, here and on a mirror.
    url : str
        Where its publisher has it.
    size : int or None
        Bytes; None where nobody says.
    sha256, md5 : str or None
        Hexadecimal digests as published. Without either, the digest of the first download counts.
    """

    name: str
    url: str
    size: int | None = None
    sha256: str | None = None
    md5: str | None = None

    @property
    def published(self) -> bool:
        """Whether anybody publishes what must be in it."""
        return bool(self.sha256 or self.md5)


@dataclass(frozen=True)
class FirstSeen:
    """SHA-256 digests of files as they were at their first download, where none is published.

    Parameters
    ----------
    file : Path
        A JSON file; made when the first digest is noted.
    """

    file: Path

    def digest(self, name: str) -> str | None:
        """What was noted of a file."""
        return self._noted().get(name)

    def note(self, name: str, digest: str) -> None:
        """Note a digest, in one step."""
        replace_text(self.file, json.dumps({**self._noted(), name: digest}, indent=1) + "\n")

    def _noted(self) -> dict[str, str]:
        try:
            return dict(json.loads(self.file.read_text()))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, TypeError) as error:
            raise DownloadError(
                f"{self.file} cannot be read ({error}); it holds the digests of first downloads: "
                "mend it, or remove it to trust the next download"
            ) from None


def mismatch(path: Path, remote: RemoteFile, seen: FirstSeen) -> str | None:
    """Why a file is not the one that is wanted; None where it is.

    A file that nobody publishes a digest of is taken as it is the first time, and noted.

    Parameters
    ----------
    path : Path
        The file, complete.
    remote : RemoteFile
        What it must be.
    seen : FirstSeen
        What it was at the first download.
    """
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"it has {size:,} bytes, the published file {remote.size:,}"
    kind = "md5" if remote.md5 and not remote.sha256 else "sha256"
    wanted = remote.sha256 or remote.md5
    with path.open("rb") as file:
        found = hashlib.file_digest(
            file, lambda: hashlib.new(kind, usedforsecurity=False)
        ).hexdigest()
    if wanted is not None:
        return None if found == wanted else f"its {kind} is {found}, the published one {wanted}"
    first = seen.digest(remote.name)
    if first is None:
        seen.note(remote.name, found)
    elif found != first:
        return (
            f"its sha256 is {found}, and was {first} at the first download; if its publisher has "
            f"changed it, remove {seen.file}"
        )
    return None


def replace_text(file: Path, text: str) -> None:
    """Write a small file in one step."""
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_name(f"{file.name}.{os.getpid()}.tmp")
    unfinished.write_text(text)
    unfinished.replace(file)


def format_bytes(size: float) -> str:
    """A number of bytes as a user reads it: 137 MB."""
    for unit in ("bytes", "KB", "MB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} GB"
