"""The kinds of things that can be wrong, and what is said of each."""

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
MEANINGS: dict[Kind, str] = {
    "unreadable": "cannot be decoded",
    "unsupported": "of a format that is not read",
    "tiny": "too few pixels a side",
    "aspect": "much longer than wide, or wider",
    "blank": "no contrast: one color",
    "duplicate": "the same file again",
    "near_duplicate": "the same picture in another file",
    "conflicting_labels": "the same picture under two labels",
    "lonely_label": "the only photo of its label",
    "name": "a name that other systems cannot keep",
}
ALWAYS_REPORTED: tuple[Kind, ...] = ("conflicting_labels", "name")
"""Kinds that `kinds=` cannot move: one has an option of its own, the other wants renaming."""


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong with one photo.

    Parameters
    ----------
    path : str
        The photo, relative to the root. A `name` may be that of a folder.
    kind : str
        One of `KINDS`.
    detail : str
        What was seen, in a few words.
    other : str
        The photo it was compared with; of duplicates the one that is kept. Empty for none.
    likeness : float or None
        Correlation of the two pictures, to 1; of exact copies 1.
    """

    path: str
    kind: Kind
    detail: str
    other: str = ""
    likeness: float | None = None


def check_kinds(asked: list[str]) -> frozenset[Kind]:
    """The kinds that are to be moved.

    Raises
    ------
    BenchError
        If one is unknown, or is never moved by `kinds=`.
    """
    movable = [kind for kind in KINDS if kind not in ALWAYS_REPORTED]
    for name in asked:
        if name == "conflicting_labels":
            raise BenchError("kinds=conflicting_labels: say conflicts=drop to move those")
        if name == "name":
            raise BenchError("kinds=name: names are only reported; rename those files")
        if name not in movable:
            close = get_close_matches(name, movable, n=1)
            hint = f"; did you mean {close[0]}?" if close else ""
            there = ", ".join(movable)
            raise BenchError(f"kinds={name}: no such kind{hint} (there is: {there})")
    return frozenset(kind for kind in movable if kind in asked)
