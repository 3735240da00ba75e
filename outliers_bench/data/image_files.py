"""Reading of image files, and paths given as options."""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass, field
from pathlib import Path

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.decode import decode
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.types import RGB


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
            raise InaccessibleImageError(describe_os_error(error), name=name) from None
        if digest is not None and content_hash(data).digest() != digest:
            raise InaccessibleImageError("changed during the run", name=name)
        return data


def describe_os_error(error: OSError) -> str:
    """Describe in a few words why a file cannot be opened."""
    return (error.strerror or type(error).__name__).lower()


NO_FILE = os.strerror(errno.ENOENT).lower()
"""Reason of a photo whose file does not exist any more; see `describe_os_error`."""


def absolute_path(path: str | Path, option: str = "") -> Path:
    """Return a user's path as an absolute path with ~ expanded.

    Raises
    ------
    BenchError
        If it begins with the ~ of a home that nobody has, and there is no such file; or is empty,
        as where a variable of the shell is not set.
    """
    if not str(path).strip():
        name = f"{option}=" if option else "a path"
        raise BenchError(f"{name} is empty; give a path, or . for the working directory")
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


def resolve_cache_dir(value: str | None) -> Path:
    """Return the cache directory: the option's value, OUTLIERS_BENCH_CACHE, or ~/.cache/..."""
    given = value or os.environ.get("OUTLIERS_BENCH_CACHE")
    if given is None and os.path.expanduser("~") == "~":  # noqa: PTH111
        raise BenchError(
            "there is no home folder for the cache, ~/.cache/outliers_bench; set "
            "OUTLIERS_BENCH_CACHE=<folder>"
        )
    return absolute_path(given or "~/.cache/outliers_bench", "cache")


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
