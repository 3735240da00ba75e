"""Groups of photos that stay in one part: by a column, a folder, a pattern, a day, encounters."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from outliers_bench.data.components import connect, rows_by_value
from outliers_bench.data.crop_reader import split_name
from outliers_bench.data.encounters import labels_of, texts_of, with_encounters
from outliers_bench.data.photo_times import with_times
from outliers_bench.data.times import parse_gap
from outliers_bench.errors import BenchError
from outliers_bench.types import CROPPED_FROM, ENCOUNTER, GROUP, TIME, ImageSet

DATE = "date"  # of `data.group`: the day of the column time
NONE = "none"
_LEVEL = re.compile(r"[+-]?\d+")
Folders = Callable[[str], Sequence[str]]


@dataclass(frozen=True)
class GroupRule:
    """Rule by which photos are one group.

    Parameters
    ----------
    group : str or None
        A folder of the path: 1 for the first one, -1 for the one that contains the photo. A
        regular expression, which has a parenthesis: its first group, or all that it matches,
        together with the label. `date`: label and day. `none`: no groups. Anything else is a
        column. None for encounters if there is a gap, or else for the groups of the source.
    gap : str or None
        Time between two photos of an encounter, such as 10min; see `encounters.make_encounters`.
    """

    group: str | None = None
    gap: str | None = None

    @property
    def needs_time(self) -> bool:
        """True if photos must have times."""
        return self.gap is not None

    def check(self) -> None:
        """Raise `BenchError` if an option is out of range; accesses no file."""
        if self.gap is not None:
            parse_gap(self.gap, "data.encounter_gap")
        if self.group is None:
            return
        if not self.group.strip():
            raise BenchError(
                "data.group= is empty; give a column, the number of a folder, or a regular "
                "expression"
            )
        if _LEVEL.fullmatch(self.group) and int(self.group) == 0:
            raise BenchError(
                "data.group=0: give 1 for the first folder, 2 for the one in it, or -1 for the "
                "folder that contains the photo"
            )
        if "(" in self.group:
            try:
                re.compile(self.group)
            except re.error as error:
                raise BenchError(
                    f"data.group={self.group} is no regular expression: {error}"
                ) from None

    def apply(
        self, parts: Sequence[ImageSet], *, folders: Folders, cache: Path, place: str
    ) -> list[ImageSet]:
        """Return the parts of a split with the columns time, encounter and group of the rule.

        Crops of one photo stay together, whatever the rule.

        Parameters
        ----------
        parts : sequence of ImageSet
            With one reader: the parts of a ready-made split, or one set that is not split yet.
        folders : callable
            Folders of a path that count.
        cache : Path
            Cache directory, for times.
        place : str
            Name of the data in messages.

        Raises
        ------
        BenchError
            If a column or all times are missing, no photo has a group, or photos of one group are
            in two parts.
        """
        parts = list(parts)
        if self.gap is not None:
            self._refuse_conflicts(parts, place)
            parts = with_encounters(parts, self.gap, cache=cache, place=place)
        group = self.group or (ENCOUNTER if self.gap is not None else None)
        if group is None:
            return parts
        if group == NONE:
            return [_join_crops(_without(part, GROUP)) for part in parts]
        has_column = any(group in part.columns for part in parts)
        # A column date that was read as times is the column time, too.
        if group == DATE and (not has_column or any(TIME in part.columns for part in parts)):
            parts = with_times(parts, cache=cache, place=place, needed_by="data.group=date")
            has_column = False
        texts = [self._values(part, group, folders, has_column=has_column) for part in parts]
        if not any(text for values in texts for text in values):
            raise BenchError(f"{place}: {self._nothing(parts, group)}")
        parts = [_with_groups(part, each) for part, each in zip(parts, texts, strict=True)]
        _check_parts(parts, f"data.group={group}", place)
        return [_join_crops(part) for part in parts]

    def _refuse_conflicts(self, parts: Sequence[ImageSet], place: str) -> None:
        option = f"data.encounter_gap={self.gap}"
        if any(ENCOUNTER in part.columns for part in parts):
            raise BenchError(
                f"{place} has a column encounter, and {option} makes another one; use "
                "data.group=encounter for the groups in the column, or ignore it (in a table, "
                "data.columns.encounter=none)"
            )
        if self.group is None and any(map(_has_groups, parts)):
            raise BenchError(
                f"{place} has groups, and {option} makes encounters; say which stay in one part: "
                "data.group=group or data.group=encounter"
            )

    def _values(
        self, images: ImageSet, group: str, folders: Folders, *, has_column: bool
    ) -> list[str]:
        """Return the group of each image; empty without one."""
        if has_column:
            return texts_of(images.columns.get(group, np.full(len(images), "", np.object_)))
        if group == DATE:
            days = images.columns[TIME].astype("M8[D]").tolist()
            return _within_labels(images, ["" if day is None else str(day) for day in days])
        if _LEVEL.fullmatch(group):
            level = int(group)
            return [_folder(folders(name), level) for name in images.names]
        if "(" in group:
            pattern = re.compile(group)
            found = map(pattern.search, _photos(images))
            first = 1 if pattern.groups else 0
            return _within_labels(images, ["" if m is None else m[first] or "" for m in found])
        return []

    def _nothing(self, parts: Sequence[ImageSet], group: str) -> str:
        """Describe why no image has a group."""
        if any(group in part.columns for part in parts):
            return f"data.group={group}: the column is empty"
        first = next(name for part in parts for name in part.names)
        if _LEVEL.fullmatch(group):
            return f"data.group={group}: no path has a folder of this number, first {first}"
        if "(" in group:
            return f"data.group={group} matches no path, first {first}"
        columns = [name for name in parts[0].columns if name != GROUP]
        close = difflib.get_close_matches(group, columns, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        listed = f"the columns are {', '.join(columns)}" if columns else "there are no columns"
        return (
            f"data.group={group}: {hint}{listed}; a number is a folder of the path, and a regular "
            "expression has a parenthesis"
        )


def _photos(images: ImageSet) -> list[str]:
    """Return the path of each image; that of its photo for a crop."""
    return [split_name(name)[0] for name in images.names]


def _has_groups(images: ImageSet) -> bool:
    """Check for groups that are not only the crops of each photo."""
    return images.groups is not None and len(set(images.groups)) < len(set(_photos(images)))


def _join_crops(images: ImageSet) -> ImageSet:
    """Return images with the crops of one photo in one group, with all of their groups."""
    photos = _photos(images)
    # With this column, they are excluded from each other's ranking instead.
    if len(set(photos)) == len(photos) or CROPPED_FROM in images.columns:
        return images
    names = np.array(images.groups or [f"~{name}" for name in images.names], np.object_)
    for rows in rows_by_value(connect(names.tolist(), photos).tolist()):
        names[rows] = min(names[rows])
    return replace(images, columns={**images.columns, GROUP: names})


def _without(images: ImageSet, column: str) -> ImageSet:
    others = {name: values for name, values in images.columns.items() if name != column}
    return replace(images, columns=others)


def _with_groups(images: ImageSet, texts: Sequence[str]) -> ImageSet:
    """Return images with the column group; one without a group is a group of its own."""
    groups = np.empty(len(images), np.object_)
    groups[:] = [text or f"~{name}" for text, name in zip(texts, images.names, strict=True)]
    return replace(images, columns={**images.columns, GROUP: groups})


def _within_labels(images: ImageSet, texts: Sequence[str]) -> list[str]:
    # visit1 of a lion is not visit1 of a tiger.
    pairs = zip(labels_of(images), texts, strict=True)
    return [f"{label}/{text}" if label and text else text for label, text in pairs]


def folders_of(name: str) -> list[str]:
    """Return the folders of a path."""
    return name.split("/")[:-1]


def _folder(folders: Sequence[str], level: int) -> str:
    """Return the path of a folder, whose name alone may occur below several others."""
    count = level if level > 0 else len(folders) + 1 + level
    return "/".join(folders[:count]) if 1 <= count <= len(folders) else ""


def _check_parts(parts: Sequence[ImageSet], option: str, place: str) -> None:
    """Raise `BenchError` if photos of one group are in two parts."""
    first: dict[str, tuple[int, str]] = {}
    crossing: dict[str, tuple[str, str]] = {}
    for number, part in enumerate(parts):
        for group, name in zip(part.groups or (), part.names, strict=True):
            other, its_name = first.setdefault(group, (number, name))
            if other != number:
                crossing.setdefault(group, (its_name, name))
    if crossing:
        group, (one, two) = next(iter(crossing.items()))
        raise BenchError(
            f"{place}: {len(crossing):,} of {len(first):,} groups ({option}) are in two parts of "
            f"this ready-made split, first {group!r}: {one} and {two}; move each group into one "
            "part, or accept that with data.group=none"
        )
