"""Image files under a folder: which there are, what is in them, their pixels."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.decode import decode
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.types import RGB, LeftOut

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

# fmt: off
UNSUPPORTED = (
    # What phones and the web make.
    ".avif", ".heic", ".heics", ".heif", ".hif", ".j2k", ".jp2", ".jpf", ".jpx", ".jxl", ".svg",
    # Sensor data, as cameras keep it.
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".mrw", ".nef", ".nrw", ".orf",
    ".pef", ".raf", ".rw2", ".sr2", ".srw", ".x3f",
    # Drawing programs, scanners, science.
    ".exr", ".ico", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psb", ".psd",
    ".tga", ".xcf",
)
# fmt: on
"""Extensions of images that are not decoded here: listed as left out, never passed over."""

_LISTED = frozenset(EXTENSIONS + UNSUPPORTED)


@dataclass(frozen=True)
class FileReader:
    """Decodes image files, named by their path relative to a root.

    Parameters
    ----------
    root : Path
        Where relative names start. An absolute name is taken as it is.
    """

    root: Path

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one file; see `ImageReader.read`."""
        try:
            data = (self.root / name).read_bytes()
        except OSError as error:
            raise InaccessibleImageError(f"{name}: {reason(error)}") from None
        if digest is not None and content_hash(data).digest() != digest:
            raise InaccessibleImageError(f"{name}: changed while the run was going")
        return decode(data, name=name, side=side)


def reason(error: OSError) -> str:
    """Why a file cannot be opened, in a few words."""
    return (error.strerror or type(error).__name__).lower()


def absolute(path: str | Path) -> Path:
    """A path as the user gave it, absolute and with ~ resolved."""
    path = Path(path)
    try:
        return path.expanduser().absolute()
    except RuntimeError:  # a ~ that is nobody's home
        return path.absolute()


def existing_folder(path: str | Path, option: str) -> Path:
    """The folder an option names, absolute.

    Raises
    ------
    BenchError
        If there is no such folder, or it is a file.
    """
    folder = absolute(path)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise BenchError(f"{option}={path} is a file; give the folder that holds the images")
    raise BenchError(f"{option}={path}: there is no such folder (looked for {folder})")


def list_images(root: Path, part: str = "") -> tuple[list[str], list[LeftOut]]:
    """The image files below a folder, by extension, at any depth.

    Hidden files and folders, and what macOS and Windows leave in archives, are passed over. Links
    are followed, except back into a folder that is being listed; one that leads nowhere is listed
    if it is named like an image, to be counted as unreadable.

    Parameters
    ----------
    root : Path
        Where names start.
    part : str
        The folder in it that is listed; all of it if empty.

    Returns
    -------
    names : list of str
        Paths relative to `root`, with forward slashes, sorted.
    left_out : list of LeftOut
        The images of a kind that is not read, sorted by name.

    Raises
    ------
    BenchError
        If a folder cannot be listed or a name is not valid UTF-8.
    """
    names, left_out = [], []
    for name in sorted(_walk(root / part, f"{part}/" if part else "", frozenset())):
        try:
            name.encode()
        except UnicodeEncodeError:
            raise BenchError(
                f"{root}: the file name {os.fsencode(name)!r} is not valid UTF-8; rename it"
            ) from None
        kind = _extension(name)
        if kind in UNSUPPORTED:
            detail = f"{kind} is not read; convert it to JPEG"
            left_out.append(LeftOut(name, "unsupported", detail))
        else:
            names.append(name)
    return names, left_out


def unsupported_hint(left_out: Sequence[LeftOut]) -> str:
    """What to add where images are missed: that there are some of a kind that is not read."""
    kinds = Counter(_extension(item.name) for item in left_out if item.kind == "unsupported")
    if not kinds:
        return ""
    counted = ", ".join(f"{n} {kind}" for kind, n in sorted(kinds.items()))
    return f"; there are {counted} files, which are not read here: convert them to JPEG"


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - called per image


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
        if _is_folder(entry):
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", above | {here})
        elif _extension(entry.name) in _LISTED and _is_file(entry):
            yield prefix + entry.name


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a link in a circle
        return False


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Whether it is a file or a link that leads nowhere, but no pipe, which would block."""
    try:
        return entry.is_file() or not Path(entry.path).exists()
    except OSError:
        return True


def usual_cache(asked: str | None) -> Path:
    """The folder of what is kept between runs: the one asked for, or everybody's."""
    return absolute(asked or os.environ.get("OUTLIERS_BENCH_CACHE") or "~/.cache/outliers_bench")


def cache_folder(asked: str | None, option: str = "cache") -> Path:
    """The folder of what is kept between runs, made if need be.

    Parameters
    ----------
    asked : str or None
        What the option says; None takes the environment's OUTLIERS_BENCH_CACHE, or else
        ~/.cache/outliers_bench.
    option : str
        What the option is called.

    Raises
    ------
    BenchError
        If it can neither be made nor written.
    """
    cache = usual_cache(asked)
    named = f"{option}={asked or cache}"
    try:
        cache.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BenchError(
            f"{named} cannot be made ({reason(error)}); choose another with {option}=<folder>"
        ) from error
    if not os.access(cache, os.W_OK | os.X_OK):
        raise BenchError(f"{named} cannot be written; choose another with {option}=<folder>")
    return cache
