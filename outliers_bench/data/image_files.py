"""Image files in a folder: listing, reading, and paths given as options."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.decode import decode
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.types import RGB, LeftOut

# fmt: off
EXTENSIONS = (
    ".bmp", ".gif", ".jfif", ".jpe", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp",
)
UNSUPPORTED = (
    # Phones and the web.
    ".avif", ".heic", ".heics", ".heif", ".hif", ".j2k", ".jp2", ".jpf", ".jpx", ".jxl", ".svg",
    # Raw sensor data of cameras.
    ".3fr", ".arw", ".cr2", ".cr3", ".dng", ".erf", ".kdc", ".mrw", ".nef", ".nrw", ".orf",
    ".pef", ".raf", ".rw2", ".sr2", ".srw", ".x3f",
    # Graphics programs, scanners, science.
    ".exr", ".ico", ".pbm", ".pcx", ".pgm", ".pnm", ".ppm", ".psb", ".psd",
    ".tga", ".xcf",
)
# fmt: on
"""Extensions of images that cannot be decoded: reported as excluded, never skipped silently."""

_LISTED = frozenset(EXTENSIONS + UNSUPPORTED)


@dataclass(frozen=True)
class FileReader:
    """Reader of image files, named by their path relative to a root; absolute names stay."""

    root: Path
    # All images of the source, those that are excluded later included.
    listed: tuple[str, ...] = field(default=(), repr=False, compare=False)
    # False if they are in the order of the rows of a table.
    is_sorted: bool = field(default=False, repr=False, compare=False)

    def read(self, name: str, digest: bytes | None = None, *, side: int | None = None) -> RGB:
        """Decode one file; see `ImageReader.read`."""
        return decode(self.load(name, digest), name=name, side=side)

    def load(self, name: str, digest: bytes | None) -> bytes:
        """Read the contents of one file; see `ImageReader.read`."""
        try:
            data = (self.root / name).read_bytes()
        except OSError as error:
            raise InaccessibleImageError(f"{name}: {describe_os_error(error)}") from None
        if digest is not None and content_hash(data).digest() != digest:
            raise InaccessibleImageError(f"{name}: changed during the run")
        return data


def describe_os_error(error: OSError) -> str:
    """Describe in a few words why a file cannot be opened."""
    return (error.strerror or type(error).__name__).lower()


def absolute_path(path: str | Path, option: str = "") -> Path:
    """Return a user's path as an absolute path with ~ expanded.

    Raises
    ------
    BenchError
        If it begins with the ~ of a home that nobody has, and there is no such file.
    """
    home = Path(path).parts[:1]
    if home and home[0].startswith("~") and not Path(home[0]).exists():
        try:
            return Path(path).expanduser().absolute()
        except RuntimeError:
            raise BenchError(
                f"{option}{'=' * bool(option)}{path}: there is no home folder {home[0]}; give "
                "the whole path, from /"
            ) from None
    return Path(path).absolute()


def existing_folder(path: str | Path, option: str) -> Path:
    """Return the absolute path of the folder that an option names; `BenchError` if it is none."""
    folder = absolute_path(path, option)
    if folder.is_dir():
        return folder
    if folder.exists():
        raise BenchError(f"{option}={path} is a file; give the folder that contains the images")
    raise BenchError(f"{option}={path}: there is no such folder (looked for {folder})")


def list_images(root: Path, part: str = "") -> tuple[list[str], list[LeftOut]]:
    """List the image files below a folder, by extension, at any depth.

    Hidden files and folders, and those that macOS and Windows leave in archives, are skipped.
    Symbolic links are followed, except back into a folder that is being listed. A broken link with
    the extension of an image is listed, and later counted as unreadable.

    Parameters
    ----------
    root : Path
        Base of the names.
    part : str
        Subfolder to list; everything if empty.

    Returns
    -------
    names : list of str
        Paths relative to `root`, with forward slashes, sorted.
    left_out : list of LeftOut
        Images of unsupported formats, sorted by name.

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
        extension = _extension(name)
        if extension in UNSUPPORTED:
            detail = f"{extension} is not supported; convert it to JPEG"
            left_out.append(LeftOut(name, "unsupported", detail))
        else:
            names.append(name)
    return names, left_out


def unsupported_hint(left_out: Sequence[LeftOut]) -> str:
    """Return a hint for error messages about missing images; empty without unsupported images."""
    counts = Counter(_extension(item.name) for item in left_out if item.kind == "unsupported")
    if not counts:
        return ""
    listed = ", ".join(f"{n} {extension}" for extension, n in sorted(counts.items()))
    return f"; there are {listed} files, which are not supported: convert them to JPEG"


def _extension(name: str) -> str:
    return os.path.splitext(name)[1].lower()  # noqa: PTH122 - called per image


def _walk(folder: Path, prefix: str, parents: frozenset[tuple[int, int]]) -> Iterator[str]:
    try:
        status = folder.stat()
        identity = (status.st_dev, status.st_ino)
        if identity in parents:
            return
        entries = list(os.scandir(folder))
    except OSError as error:
        raise BenchError(f"{folder} cannot be listed: {describe_os_error(error)}") from None
    for entry in entries:
        if entry.name.startswith(".") or entry.name == "__MACOSX":
            continue
        try:
            is_folder, is_file = entry.is_dir(), entry.is_file()
        except OSError:  # a cycle of links
            is_folder, is_file = False, True
        if is_folder:
            yield from _walk(Path(entry.path), f"{prefix}{entry.name}/", parents | {identity})
        # A broken link is listed, and a pipe is not: it would block.
        elif _extension(entry.name) in _LISTED and (is_file or not Path(entry.path).exists()):
            yield prefix + entry.name


def resolve_cache_dir(value: str | None) -> Path:
    """Return the cache directory: the option's value, OUTLIERS_BENCH_CACHE, or ~/.cache/..."""
    given = value or os.environ.get("OUTLIERS_BENCH_CACHE")
    if given is None and os.path.expanduser("~") == "~":  # noqa: PTH111
        raise BenchError(
            "there is no home folder for the cache, ~/.cache/outliers_bench; set "
            "OUTLIERS_BENCH_CACHE=<folder>"
        )
    return absolute_path(given or "~/.cache/outliers_bench")


def make_cache_dir(value: str | None, option: str = "cache") -> Path:
    """Create the cache directory if it does not exist, and return it; see `make_folder`."""
    return make_folder(value or resolve_cache_dir(None), option)


def make_folder(path: str | Path, option: str) -> Path:
    """Create the folder that an option names if it does not exist; return its absolute path.

    Raises
    ------
    BenchError
        If the folder cannot be created or is not writable.
    """
    folder = absolute_path(path, option)
    problem = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            problem = "written"
    except OSError as error:
        problem = f"created ({describe_os_error(error)})"
    if problem:
        raise BenchError(
            f"{option}={path} cannot be {problem}; choose another with {option}=<folder>"
        )
    return folder
