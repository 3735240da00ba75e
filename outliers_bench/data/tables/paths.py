"""Paths in a table: other separators, blanks and spellings, and paths of another machine."""

from __future__ import annotations

import glob
import logging
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import unquote

from outliers_bench.errors import BenchError

_LONGEST = 300  # characters of a path in a message
_ABSOLUTE = re.compile(r"/|[A-Za-z]:/")
_log = logging.getLogger(__name__)


def find_files(cells: Sequence[str], root: Path, place: str, *, given: bool) -> list[str]:
    r"""Return the names of a table's images relative to `root`; absolute ones stay.

    A cell that names an existing file stays as it is. Otherwise `\` may be a separator, blanks
    around the path are dropped, and é may be written as one character or two. If `root` is given by
    the user and no path exists, because all are absolute paths of another machine, the beginning
    that they share is replaced by `root`, and a warning says so.

    Parameters
    ----------
    cells : sequence of str
        Paths as they are in the table; empty ones stay.
    root : Path
        Base of relative paths.
    place : str
        Name of the table in messages.
    given : bool
        True if `root` is an option of the user.

    Raises
    ------
    BenchError
        If there are addresses on the web, or none of the files exists.
    """
    names = [_spelling(cell, root, place) if _is_odd(cell) else cell for cell in cells]
    if any(_exists(root, name) for name in names if name) or not any(names):
        return names
    first = next(filter(None, names))
    if given and _ABSOLUTE.match(first) and (tail := _known_tail(first, root)):
        start = first.removesuffix(tail)
        _log.warning("%s: %s is replaced by data.root=%s in all paths", place, start, root)
        return [name.removeprefix(start) for name in names]
    shown = first if len(first) <= _LONGEST else f"{first[:_LONGEST]}..."
    raise BenchError(
        f"{place}: none of the images exists; the first is {shown} (looked for "
        f"{root / shown}). {_advice(first, root, given=given)}"
    )


def _is_odd(cell: str) -> bool:
    return (
        cell.startswith("~")
        or "\\" in cell
        or ":/" in cell
        or not cell.isascii()
        or cell != cell.strip()
    )


def _spelling(cell: str, root: Path, place: str) -> str:
    """Return the spelling of a path that exists, or the most likely one."""
    if _exists(root, cell):
        return cell
    name = os.path.expanduser(cell.strip())  # noqa: PTH111 - leaves other cells as they are
    if name.startswith("file://"):
        name = unquote(name.removeprefix("file://").removeprefix("localhost"))
        name = re.sub(r"^/(?=[A-Za-z]:)", "", name)
    if re.match(r"[A-Za-z][\w+.-]+://", name):
        raise BenchError(
            f"{place}: {name} is on the web: download the images first, with "
            "`python -m outliers_bench.collect urls=<table> into=photos`"
        )
    usual = name.replace("\\", "/")
    others = (unicodedata.normalize(form, usual) for form in ("NFC", "NFD"))
    spellings = [each for each in dict.fromkeys((usual, name, *others)) if each != cell]
    return next((each for each in spellings if _exists(root, each)), usual)


def _exists(root: Path, name: str) -> bool:
    return os.path.lexists(os.path.join(root, name))  # noqa: PTH118 - called per image


def _known_tail(name: str, root: Path) -> str:
    """Return the longest end of an absolute path that exists below `root`; empty if none does."""
    parts = name.split("/")
    ends: Iterable[str] = ("/".join(parts[cut:]) for cut in range(1, len(parts)))
    return next((end for end in ends if end and _exists(root, end)), "")


def _other_case(name: str, root: Path) -> str | None:
    """Return the path below `root` that differs only in letter case; None if there is none."""
    found: list[str] = []
    for part in name.split("/"):
        try:
            below = sorted(each.name for each in root.joinpath(*found).iterdir())
        except OSError:
            return None
        equal = [each for each in below if each.casefold() == part.casefold()]
        if not equal:
            return None
        found.append(part if part in equal else equal[0])
    return "/".join(found)


def _advice(name: str, root: Path, *, given: bool) -> str:
    if _ABSOLUTE.match(name):
        if not given and (tail := _known_tail(name, root)):
            return f"If it is {root / tail} here, give data.root={root}"
        return "Give the folder that contains the images here as data.root=<folder>"
    if (other := _other_case(name, root)) is not None:
        return f"There is {other}: correct the letter case in the table or of the files"
    if (longer := next(iter(sorted(root.glob(f"{glob.escape(name)}.*"))), None)) is not None:
        return f"There is {longer.relative_to(root)}: give the paths with their endings"
    known = next((folder for folder in (*root.parents, Path.cwd()) if _exists(folder, name)), None)
    if known is not None:
        return f"It is in {known}: give data.root={known}"
    return "Give the folder that the paths are relative to as data.root=<folder>"
