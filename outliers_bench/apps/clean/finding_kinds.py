"""The kinds of problems that cleaning reports, and a description of each."""

from __future__ import annotations

from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal, get_args

from outliers_bench.errors import BenchError

Kind = Literal[
    "unreadable",
    "unsupported",
    "tiny",
    "aspect",
    "blank",
    "duplicate",
    "near_duplicate",
    "conflicting_labels",
    "lonely_label",
    "name",
]
KINDS: tuple[Kind, ...] = get_args(Kind)
DESCRIPTIONS: dict[Kind, str] = {
    "unreadable": "cannot be decoded",
    "unsupported": "unsupported image format",
    "tiny": "too few pixels on a side",
    "aspect": "extreme aspect ratio",
    "blank": "no contrast: a single color",
    "duplicate": "same content as another file",
    "near_duplicate": "same image as another file",
    "conflicting_labels": "same image under two labels",
    "lonely_label": "only photo of its label",
    "name": "name not portable to other systems",
}
REPORT_ONLY: tuple[Kind, ...] = ("conflicting_labels", "name")
"""Kinds that `kinds=` cannot move: `conflicts=` moves the first, the second calls for renaming."""


@dataclass(frozen=True)
class Finding:
    """One problem with one photo.

    Parameters
    ----------
    path : str
        Path of the photo relative to the root; for the kind `name` it may be a folder.
    kind : str
        One of `KINDS`.
    detail : str
        Short description.
    other : str
        Path of the photo that this one was compared with (for duplicates, the one that is
        retained), or an empty string.
    likeness : float or None
        Correlation of the two images, at most 1; 1 for exact duplicates.
    """

    path: str
    kind: Kind
    detail: str
    other: str = ""
    likeness: float | None = None


def check_kinds(names: list[str]) -> frozenset[Kind]:
    """Return the requested kinds if all of them can be moved.

    Raises
    ------
    BenchError
        If a kind is unknown, or cannot be moved by `kinds=`.
    """
    movable = [kind for kind in KINDS if kind not in REPORT_ONLY]
    for name in names:
        if name == "conflicting_labels":
            raise BenchError("kinds=conflicting_labels: use conflicts=drop to move them")
        if name == "name":
            raise BenchError("kinds=name: names are only reported; rename those files")
        if name not in movable:
            close = get_close_matches(name, movable, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            raise BenchError(f"kinds={name}: no such kind{hint} (available: {', '.join(movable)})")
    return frozenset(kind for kind in movable if kind in names)
