"""Labels of images from their paths: a folder, or a regular expression."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from outliers_bench.data.labels import normalize, present
from outliers_bench.data.times import NoTimeError, Times, parse_times
from outliers_bench.errors import BenchError
from outliers_bench.types import CAMERA, ENCOUNTER, GROUP, SITE, TIME

LABEL = "label"


@dataclass(frozen=True)
class PathLabels:
    """Rule that reads the label, and perhaps other fields, from the path of an image.

    Parameters
    ----------
    depth : int
        Folder that is the label: 1 for the first one, 2 for the one in it, -1 for the one that
        contains the image, -2 for the one above. Not used with a pattern.
    pattern : str or None
        Regular expression that is searched in the path, with forward slashes. The label is its
        group `label`, or its first group if none has this name. Other named groups are fields.
    """

    depth: int = 1
    pattern: str | None = None

    def check(self) -> None:
        """Raise `BenchError` if an option is out of range."""
        if self.depth == 0:
            raise BenchError(
                "data.label_depth=0: give 1 for the first folder, 2 for the one in it, or -1 for "
                "the folder that contains the photo"
            )
        if self.pattern is None:
            return
        try:
            groups = re.compile(self.pattern).groups
        except re.error as error:
            raise BenchError(
                f"data.label_pattern={self.pattern} is no regular expression: {error}"
            ) from None
        if not groups:
            raise BenchError(
                f"data.label_pattern={self.pattern} has no group in parentheses, which is the "
                r"label; give one such as ([^/]+)_\d+\.jpg or (?P<label>[^/]+)/[^/]+$"
            )

    def read(self, names: Sequence[str], *, below: int = 0) -> list[dict[str, str]]:
        """Return the fields of each path; empty for a path that has no label.

        `below` is the number of first folders that depths do not count, such as `train`.
        """
        if self.pattern is None:
            return [self._read_folder(name.split("/")[below:-1]) for name in names]
        pattern = re.compile(self.pattern)
        key = LABEL if LABEL in pattern.groupindex else 1
        return [_read_match(pattern.search(name), key) for name in names]

    def problem(self) -> str:
        """Describe, with its option, why a path has no label."""
        if self.pattern is not None:
            return f"data.label_pattern={self.pattern} does not match"
        return f"there is no folder number {self.depth} (data.label_depth)"

    def _read_folder(self, folders: list[str]) -> dict[str, str]:
        at = self.depth - 1 if self.depth > 0 else self.depth
        return {LABEL: folders[at]} if -len(folders) <= at < len(folders) else {}


def describe_depths(folders: Sequence[Sequence[str]]) -> list[str]:
    """Describe the deeper folders that would be more classes than the first; empty if none.

    Examples
    --------
    >>> describe_depths([("site", "lion"), ("site", "tiger", "2023")])
    ['the first of 2 or more folders; data.label_depth=2 would be 2 classes']
    """
    depth, deepest = min(map(len, folders)), max(map(len, folders))
    counts = [len({normalize(path[at]) for path in folders}) for at in range(depth)]
    deeper = [at for at in range(1, depth) if counts[at] > counts[0]]
    if not deeper:
        return []
    choices = [f"data.label_depth={at + 1} would be {counts[at]:,} classes" for at in deeper]
    or_more = " or more" if deepest > depth else ""
    return [f"the first of {depth}{or_more} folders; {', '.join(choices)}"]


def to_columns(
    fields: Sequence[Mapping[str, str]], names: Sequence[str]
) -> dict[str, npt.NDArray[Any]]:
    """Return the fields other than label and group as columns.

    The field `time` becomes datetime64; others are texts, empty where missing. Raises `BenchError`,
    with the name of the image, if a text is no time.
    """
    keys = dict.fromkeys(key for row in fields for key in row if key not in (LABEL, GROUP))
    columns: dict[str, npt.NDArray[Any]] = {}
    for key in keys:
        texts = [row.get(key, "") for row in fields]
        columns[key] = _to_times(texts, names) if key == TIME else _to_texts(key, texts)
    return columns


def _to_times(texts: Sequence[str], names: Sequence[str]) -> Times:
    try:
        return parse_times(texts).values
    except NoTimeError as error:
        raise BenchError(
            f"data.label_pattern: the group time of {names[error.row]}: {error}; give the group "
            "another name if it is none"
        ) from None


def _to_texts(key: str, texts: Sequence[str]) -> npt.NDArray[np.object_]:
    column = np.empty(len(texts), np.object_)
    if key in (CAMERA, SITE, ENCOUNTER):
        texts = [present(text) for text in texts]
    column[:] = texts
    return column


def _read_match(match: re.Match[str] | None, key: str | int) -> dict[str, str]:
    if match is None or not match[key]:
        return {}
    fields = {**{name: text or "" for name, text in match.groupdict().items()}, LABEL: match[key]}
    for name in (GROUP, ENCOUNTER):
        if fields.get(name):  # visit1 of a lion is not visit1 of a tiger
            fields[name] = f"{fields[LABEL]}/{fields[name]}"
    return fields
