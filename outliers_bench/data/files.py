"""Image files under a folder: which there are, what is in them, their pixels."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.data.decode import decode
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.types import RGB

EXTENSIONS = (
    ".bmp",
    ".gif",
    ".jfif",
    ".jpe",
    ".jpeg",
    ".jpg",
    ".png",
    ".tif",
    ".tiff",
    ".webp",
)


@dataclass(frozen=True)
class FileReader:
    """Decodes image files, named by their path relative to a root.

    Parameters
    ----------
    root : Path
        Where relative names start. An absolute name is taken as it is.
    """

    root: Path

    def read(self, name: str) -> RGB:
        """Decode one file; see `ImageReader.read`."""
        try:
            data = (self.root / name).read_bytes()
        except OSError as error:
            raise InaccessibleImageError(f"{name}: {reason(error)}") from None
        return decode(data, name=name)


def reason(error: OSError) -> str:
    """Why a file cannot be opened, in a few words."""
    return (error.strerror or type(error).__name__).lower()


def existing_folder(path: str | Path, option: str) -> Path:
    """The folder an option names, absolute.

    Raises
    ------
    BenchError
        If there is no such folder, or it is a file.
    """
    folder = Path(path).expanduser().absolute()
    if folder.is_dir():
        return folder
    if folder.exists():
        raise BenchError(f"{option}={path} is a file; give the folder that holds the images")
    raise BenchError(f"{option}={path}: there is no such folder (looked for {folder})")


def list_images(root: Path) -> list[str]:
    """The image files below a folder, by extension, at any depth.

    Hidden files and folders, and what macOS and Windows leave in archives, are passed over. Links
    are followed, except back into a folder that is being listed.

    Returns
    -------
    list of str
        Paths relative to `root`, with forward slashes, sorted.

    Raises
    ------
    BenchError
        If a folder cannot be listed or a name is not valid UTF-8.
    """
    names = sorted(_walk(root, "", frozenset()))
    for name in names:
        try:
            name.encode()
        except UnicodeEncodeError:
            raise BenchError(
                f"{root}: the file name {os.fsencode(name)!r} is not valid UTF-8; rename it"
            ) from None
    return names


def _walk(folder: Path, prefix: str, above: frozenset[tuple[int, int]]) -> Iterator[str]:
    try:
        status = folder.stat()
        here = (status.st_dev, status.st_ino)
        if here in above:
            return
        entries = list(os.scandir(folder))
    except OSError as error:
        raise BenchError(f"{folder} cannot be listed: {reason(error)}") from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        if entry.is_dir():
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", above | {here})
        # A broken link is listed, to be counted as unreadable; a pipe is not, it would block.
        elif entry.name.lower().endswith(EXTENSIONS) and (entry.is_file() or entry.is_symlink()):
            yield prefix + entry.name
