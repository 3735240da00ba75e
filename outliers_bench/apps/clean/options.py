"""The options of `python -m outliers_bench.clean`, and what is checked of them first."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.apps.clean.finding_kinds import Kind, check_kinds
from outliers_bench.errors import BenchError


class Conflicts(Enum):
    """What becomes of a picture that stands under two labels."""

    report = "report"
    drop = "drop"


@dataclass
class Clean:
    """Find what is wrong with a folder of photos: a table here, every finding in cleaning.csv,
    pictures of them in cleaning.jpg. Nothing is moved without apply=true.

    Exit code 0: nothing is left to do; 1: something was found that is still there; 2: a mistake.

    Parameters
    ----------
    root : str
        The folder of photos; class folders in it, or in its query, gallery and train, are labels.
    apply : bool
        Move the photos that are not wanted to the quarantine.
    undo : bool
        Put back everything that was moved to the quarantine.
    quarantine : str or None
        Where photos are moved to, with the same paths; null is <root>.quarantine.
    kinds : list of str
        Kinds that are moved; lonely_label may be added.
    conflicts : report or drop
        Whether the same picture under two labels is only reported, or all of its photos moved.
    near : bool
        Look for near duplicates, too.
    min_side : int
        Photos with a side of fewer pixels are tiny.
    max_aspect : float
        Photos whose longer side is more than so many times the shorter one have an extreme aspect.
    min_contrast : float
        Photos whose pixels differ by less, of 255, when made small, are blank.
    out : str
        Folder for cleaning.csv and cleaning.jpg.
    pictures : int
        Findings of each kind in cleaning.jpg; 0 draws none.
    cache : str or None
        Where it is kept what was seen of each photo; null is $OUTLIERS_BENCH_CACHE, or
        ~/.cache/outliers_bench.
    """

    root: str = MISSING
    apply: bool = False
    undo: bool = False
    quarantine: str | None = None
    kinds: list[str] = field(
        default_factory=lambda: [
            "unreadable",
            "unsupported",
            "tiny",
            "aspect",
            "blank",
            "duplicate",
            "near_duplicate",
        ]
    )
    conflicts: Conflicts = Conflicts.report
    near: bool = True
    min_side: int = 32
    max_aspect: float = 5.0
    min_contrast: float = 10.0
    out: str = "."
    pictures: int = 12
    cache: str | None = None

    def check(self) -> None:
        """See that the options make sense together.

        Raises
        ------
        BenchError
            If they do not.
        """
        if self.apply and self.undo:
            raise BenchError("apply=true and undo=true are opposites; give one of them")
        if self.pictures < 0:
            raise BenchError(f"pictures={self.pictures}: give 0 or more")

    def moved(self) -> set[Kind]:
        """The kinds that are to be moved; `BenchError` if there is no such kind."""
        moved: set[Kind] = set(check_kinds(self.kinds))
        if self.conflicts is Conflicts.drop:
            moved.add("conflicting_labels")
        return moved


def out_folder(asked: str, root: Path) -> Path:
    """The folder for what is written; `BenchError` if that cannot be."""
    from outliers_bench.data.image_files import existing_folder

    out = existing_folder(asked, "out")
    if out.resolve().is_relative_to(root.resolve()):
        raise BenchError(
            f"out={asked} lies among the photos, where cleaning.jpg would be one of them; name "
            "another folder"
        )
    if not os.access(out, os.W_OK | os.X_OK):
        raise BenchError(f"out={asked} may not be written; name another folder")
    return out
