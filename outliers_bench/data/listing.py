"""Listing of the files below a folder: images, excluded images, and other files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from outliers_bench.data.formats.endings import CAMERA_RAW, ENDINGS
from outliers_bench.data.formats.kinds import DECODED, EXTRA, HEAD, kind_of
from outliers_bench.data.image_files import describe_os_error
from outliers_bench.errors import BenchError
from outliers_bench.runtime.invocation import install_command
from outliers_bench.types import LeftOut, LeftOutKind

LINK = "a link, which is not followed"
# Thumbnails, deleted files, snapshots and notes of systems and programs, in lower case. Names that
# begin with a dot (.DS_Store, ._photo.jpg, .ipynb_checkpoints, .Trash-1000) need no mention.
_SYSTEM = frozenset(
    (
        *("$recycle.bin", "system volume information", "thumbs.db", "ehthumbs.db", "desktop.ini"),
        *("__macosx", "icon\r", "lost+found", "~snapshot", "zbthumbnail.info"),
        *("@eadir", "@sharebin", "@synoresource", "@tmp", "#recycle", "#snapshot"),  # Synology
        *("@recently-snapshot", "@recycle"),  # QNAP
        *("found.000", "network trash folder"),
        *("mlartifacts", "mlruns"),  # pictures of earlier runs that were started in the folder
    )
)
LISTED_ENDINGS = tuple(ending for ending, kind in ENDINGS.items() if kind in DECODED)
"""Endings of files that are listed as images without being opened."""
_LISTED = frozenset(LISTED_ENDINGS)
# Copies that programs make of a photo, and beginnings of one: they would be found as its matches.
_COPIES = frozenset(
    (
        *(".bak", ".backup", ".old", ".orig", ".tmp"),
        *(".part", ".partial", ".crdownload", ".download"),
    )
)


def list_images(root: Path, part: str = "") -> tuple[list[str], list[LeftOut]]:
    """List the image files below a folder; see `walk`.

    Parameters
    ----------
    root : Path
        Base of the names.
    part : str
        Subfolder to list; everything if empty.

    Raises
    ------
    BenchError
        If a folder cannot be listed or the name of an image is not valid UTF-8.
    """
    names, left_out = walk(root, part)
    for name in names:
        if not name.isascii() and to_text(name) != name:
            raise BenchError(
                f"{root}: the file name {os.fsencode(name)!r} is not valid UTF-8; rename it"
            )
    return names, [
        item if item.name.isascii() else replace(item, name=to_text(item.name)) for item in left_out
    ]


def walk(
    root: Path, part: str = "", *, follow_links: bool = True
) -> tuple[list[str], list[LeftOut]]:
    """List the files below a folder, at any depth.

    A file is an image if its name ends like that of a format that can be decoded. Others are judged
    by their first bytes, except backups and unfinished downloads. Hidden files and folders, and
    those of operating systems, are no photos. Pipes and devices are not opened. A broken link with
    the ending of an image is listed, and later counted as unreadable.

    Parameters
    ----------
    root : Path
        Base of the names.
    part : str
        Subfolder to list; everything if empty.
    follow_links : bool
        Whether symbolic links are followed, except back into a folder that is being listed.

    Returns
    -------
    names : list of str
        Paths of the images relative to `root`, with forward slashes, sorted.
    left_out : list of LeftOut
        All other files, as `unsupported`, `other` or `system`, sorted by name.

    Raises
    ------
    BenchError
        If a folder cannot be listed.
    """
    names: list[str] = []
    left_out: list[LeftOut] = []

    def exclude(name: str, kind: LeftOutKind, detail: str) -> None:
        left_out.append(LeftOut(name, kind, detail))

    pending = [(str(root / part), f"{part}/" if part else "", frozenset[tuple[int, int]]())]
    while pending:
        folder, prefix, parents = pending.pop()
        try:
            status = Path(folder).stat()
            identity = (status.st_dev, status.st_ino)
            if identity in parents:
                exclude(prefix[:-1], "other", "a link to a folder that contains it")
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    path = prefix + entry.name
                    if entry.name[0] == "." or entry.name.lower() in _SYSTEM:
                        exclude(path, "system", "hidden" if entry.name[0] == "." else "system file")
                    elif not follow_links and entry.is_symlink():
                        exclude(path, "other", LINK)
                    elif _is_folder(entry):
                        pending.append((entry.path, f"{path}/", parents | {identity}))
                    elif reason := _judge(entry):
                        exclude(path, *reason)
                    else:
                        names.append(path)
        except OSError as error:
            text = f"{Path(folder)} cannot be listed: {describe_os_error(error)}"
            raise BenchError(text) from None
    return sorted(names), sorted(left_out, key=lambda item: item.name)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a cycle of links
        return False


def _judge(entry: os.DirEntry[str]) -> tuple[LeftOutKind, str] | None:
    """Return kind and reason of the exclusion of a file; None for an image."""
    ending = os.path.splitext(entry.name)[1].lower()  # noqa: PTH122 - called per image
    try:
        # Opening a pipe would block, and a broken link is not another kind of file.
        if not entry.is_file() and Path(entry.path).exists():
            return "other", "not a regular file"
    except OSError:  # a cycle of links
        pass
    if ending in _LISTED:
        return None
    if ending in _COPIES or ending.endswith(("_original", "_backup", "~")):
        return "other", "a backup or an unfinished download"
    try:
        file = os.open(entry.path, os.O_RDONLY)  # a third faster than a file object
        try:
            head = os.read(file, HEAD)
        finally:
            os.close(file)
        kind, problem = kind_of(head), "not an image" if head else "empty"
    except OSError as error:
        kind, problem = None, describe_os_error(error)
    expected = ENDINGS.get(ending)
    if kind is None or (kind == "TIFF" and expected == CAMERA_RAW):
        kind = expected
    if kind is None:
        return "other", problem
    return None if kind in DECODED else ("unsupported", unsupported(kind))


def unsupported(kind: str) -> str:
    """Describe why images of a known kind are excluded."""
    if kind in EXTRA:
        return f"{kind} needs {install_command('formats')}, or convert it to JPEG"
    return f"{kind} is not supported; convert it to JPEG"


def to_text(name: str) -> str:
    r"""Return a file name with `\udc..` escapes in place of bytes that are not UTF-8."""
    return name if name.isascii() else name.encode(errors="backslashreplace").decode()


def excluded_hint(left_out: Iterable[LeftOut]) -> str:
    """Return what a folder contains instead of images, for error messages; may be empty."""
    description = describe_excluded(left_out)
    return f"; it contains {description}" if description else ""


def describe_excluded(left_out: Iterable[LeftOut]) -> str:
    """Describe how many files are excluded, and why, with the first of each kind."""
    items = list(left_out)
    counts = Counter(item.kind for item in items)
    return " and ".join(
        f"{n:,} {'file' if n == 1 else 'files'} {what}, first {_first(items, kind)}"
        for kind, what in _HINTS.items()
        if (n := counts[kind])
    )


_HINTS: dict[LeftOutKind, str] = {
    "unsupported": "of an unsupported format",
    "unselected": "that data.include and data.exclude leave out",
    "other": "without an image",
    "system": "hidden or of the system",
}


def _first(items: Sequence[LeftOut], kind: LeftOutKind) -> str:
    first = next(item for item in items if item.kind == kind)
    return f"{first.name} ({first.detail})"
