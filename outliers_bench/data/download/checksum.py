"""Files to download, and their verification by size and digest."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.store.files import write_atomically


class DownloadError(BenchError):
    """Download that failed for a reason that retries do not fix; the message says why."""


@dataclass(frozen=True)
class RemoteFile:
    """A published file."""

    name: str  # also on a mirror
    url: str  # at the publisher
    size: int | None = None  # bytes; None if unknown
    sha256: str | None = None  # hexadecimal; without one, that of the first download counts


def find_mismatch(path: Path, remote: RemoteFile, first_seen: Path | None) -> str | None:
    """Describe how a complete file differs from the published one; None if it does not.

    See `compare_with_first` for `first_seen`; without it, any content is accepted.
    """
    if first_seen is None:
        return None
    size = path.stat().st_size
    if remote.size is not None and size != remote.size:
        return f"it has {size:,} bytes, the published file {remote.size:,}"
    with path.open("rb") as file:
        actual = hashlib.file_digest(file, "sha256").hexdigest()
    if remote.sha256 is None:
        return compare_with_first(remote.name, actual, first_seen)
    if actual != remote.sha256:
        return f"its sha256 is {actual}, the published one {remote.sha256}"
    return None


def compare_with_first(name: str, digest: str, first_seen: Path) -> str | None:
    """Describe how a digest differs from that of the first download; None if it does not.

    `first_seen` is a JSON file of the digests of first downloads, for files without a published
    digest; the first one is recorded there.
    """
    try:
        digests = dict(json.loads(first_seen.read_text())) if first_seen.exists() else {}
    except (ValueError, TypeError) as error:
        raise DownloadError(
            f"{first_seen} is damaged ({error}); remove it to trust the next download"
        ) from None
    first = digests.setdefault(name, digest)
    if digest != first:
        return (
            f"its sha256 is {digest}, and was {first} at the first download; if the publisher has "
            f"changed it, remove {first_seen}"
        )
    with write_atomically(first_seen) as temporary:
        temporary.write_text(json.dumps(digests, indent=1) + "\n")
    return None
