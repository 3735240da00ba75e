"""Options of `python -m outliers_bench.clean`, and the kinds of problems that it finds."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import instead

KINDS = {
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
"""Kinds of problems in the order of the report, with a description of each."""

_DEFAULT = ["unreadable", "unsupported", "tiny", "aspect", "blank", "duplicate", "near_duplicate"]
_MOVABLE = [*_DEFAULT, "lonely_label"]


class Conflicts(Enum):
    """Handling of an image that appears under two labels."""

    report = "report"
    drop = "drop"


@dataclass
class Clean:
    """Find problems in a folder of photos: a summary here, every finding in cleaning.csv, a
    contact sheet of them in cleaning.jpg. Nothing is moved without apply=true.

    Exit code 0: no problems; 1: problems that remain in the folder; 2: an error.

    Parameters
    ----------
    root : str
        Folder of photos; the class folders in it, or in its query, gallery and train, are labels.
    apply : bool
        Move photos with problems to the quarantine.
    undo : bool
        Restore all photos in the quarantine.
    quarantine : str or None
        Folder that photos are moved to, with the same paths; null is <root>.quarantine.
    kinds : list of str
        Kinds of problems whose photos are moved; lonely_label may be added.
    conflicts : report or drop
        Only report an image that appears under two labels, or move all of its photos.
    label_depth : int
        Folder that is the label: 1 for the first, 2 for the one in it, -1 for the one that contains
        the photo.
    near : bool
        Search for near duplicates, too.
    min_side : int
        Photos with a side shorter than this, in pixels, are tiny.
    max_aspect : float
        Maximum of the longer side divided by the shorter one.
    min_contrast : float
        Photos whose pixel values differ by less than this, of 255, when downscaled, are blank.
    out : str
        Folder for cleaning.csv and cleaning.jpg.
    pictures : int
        Number of findings of each kind in cleaning.jpg; 0 writes no contact sheet.
    cache : str or None
        Folder where measurements of the photos are cached; null is $OUTLIERS_BENCH_CACHE, or
        ~/.cache/outliers_bench.
    """

    root: str = MISSING
    apply: bool = False
    undo: bool = False
    quarantine: str | None = None
    kinds: list[str] = field(default_factory=_DEFAULT.copy)
    conflicts: Conflicts = Conflicts.report
    label_depth: int = 1
    near: bool = True
    min_side: int = 32
    max_aspect: float = 5.0
    min_contrast: float = 10.0
    out: str = "."
    pictures: int = 12
    cache: str | None = None

    def check(self) -> None:
        """Raise `BenchError` if an option is out of range or contradicts another one."""
        if self.apply and self.undo:
            raise BenchError("apply=true and undo=true are opposites; give one of them")
        for kind in self.kinds:
            if kind not in _MOVABLE:
                raise BenchError(
                    f"kinds={kind}: no kind that can be moved{instead(kind, _MOVABLE)}; "
                    "conflicts=drop moves conflicting labels"
                )
        if self.label_depth == 0:
            raise BenchError("label_depth=0: give 1 for the first folder, or -1 for the last")
        if self.min_side < 0:
            raise BenchError(f"min_side={self.min_side}: give 0 or more pixels")
        if not self.max_aspect >= 1:
            raise BenchError(f"max_aspect={self.max_aspect}: give 1 (square) or more")
        if not 0 <= self.min_contrast <= 255:
            raise BenchError(f"min_contrast={self.min_contrast}: give a number from 0 to 255")
        if self.pictures < 0:
            raise BenchError(f"pictures={self.pictures}: give 0 or more")

    def kinds_to_move(self) -> set[str]:
        """Return the kinds of findings whose photos are moved."""
        conflicts = {"conflicting_labels"} if self.conflicts is Conflicts.drop else set()
        return conflicts.union(self.kinds)

    def out_folder(self, root: Path) -> Path:
        """Return the output folder as a path.

        Raises
        ------
        BenchError
            If it is inside the photo folder, does not exist, or is not writable.
        """
        from outliers_bench.data.image_files import existing_folder

        folder = existing_folder(self.out, "out")
        if folder.resolve().is_relative_to(root.resolve()):
            raise BenchError(
                f"out={self.out} is inside the photo folder, where cleaning.jpg would count as a "
                "photo; choose another folder"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise BenchError(f"out={self.out} is not writable; choose another folder")
        return folder
