"""Labeled photos of a competition under the file names that the groups use."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outliers_bench.apps.submit.names import Names, competition_names
from outliers_bench.data.boxes import BoxUse
from outliers_bench.data.exclude_same import exclude_same_values
from outliers_bench.data.image_files import existing_folder
from outliers_bench.data.labels import MissingLabels
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import count_relevant, nothing_relevant
from outliers_bench.types import ImageSet, LeftOut, Split

_DATA_OPTION = re.compile(r"data\.(?=(root|missing_labels|boxes|exclude_same)=)")
_OVERHEAD = 2**16  # bytes of a submission other than file names
_INDENTATION = 2  # factor, for JSON with indentation
_BYTES_PER_NAME = 4  # quotes, comma, space


@dataclass(frozen=True, eq=False)
class CompetitionData:
    """Labeled queries and gallery under the names that the groups use.

    Parameters
    ----------
    split : Split
        The photos with their labels.
    queries, gallery : mapping of str to int
        Position in `split.query` and `split.gallery` by name.
    ignored_queries, ignored_gallery : collection of str
        Names that may be sent and are not scored: duplicates, unreadable files, missing labels.
    """

    split: Split
    queries: Mapping[str, int]
    gallery: Mapping[str, int]
    ignored_queries: Collection[str]
    ignored_gallery: Collection[str]

    def without_junk(self, query: int, ranking: Sequence[int]) -> tuple[int, ...]:
        """Return a ranking without the gallery images that do not count for its query."""
        exclusion, positions = self.split.exclusion, np.array(ranking, dtype=np.int64)
        is_junk = exclusion.mask(np.array([query]), positions[None])[0]
        return tuple(positions[~is_junk].tolist())

    def max_submission_bytes(self, max_rank: int) -> int:
        """Return a size that suffices for `max_rank` gallery images per query."""
        gallery = [*self.gallery, *self.ignored_gallery]
        queries = [*self.queries, *self.ignored_queries]
        ranking = min(max_rank, len(gallery)) * max(map(_encoded_length, gallery))
        return _OVERHEAD + _INDENTATION * sum(_encoded_length(name) + ranking for name in queries)


def load_competition_data(source: DataSource, *, cache: Path, names: Names) -> CompetitionData:
    """Load the photos and check that they can be used for a competition.

    Every photo is decoded once, because the run of a group cannot rank a photo that is unreadable.

    Parameters
    ----------
    source : DataSource
        `PreparedFolders`, or a `Manifest` with a column split.
    cache : Path
    names : Names
        Style of the file names. `auto` means `base`; two files with the same name are refused,
        because a name that includes the folder of its class would reveal the label.

    Raises
    ------
    BenchError
        If there are no labels, no query has a relevant gallery image, or file names are not
        unique.
    """
    try:
        split = exclude_same_values(source.load(seed=0, cache=cache), source.exclude_same)
    except BenchError as error:  # its message has the options of a run
        message = str(error).replace("data.path=", "manifest=")
        raise BenchError(_DATA_OPTION.sub("", message)) from None
    if split.is_one_set or not split.labeled:
        raise BenchError(
            f"{split.name}: a competition needs the labels of its query and gallery images; put "
            "the images in one folder per class, or give a manifest with labels and split"
        )
    split = split.without(_find_unreadable(split, cache))
    if not count_relevant(split).any():
        raise nothing_relevant(split)
    queries, ignored_queries = _assign_names(split, split.query, "query", names)
    gallery, ignored_gallery = _assign_names(split, split.gallery, "gallery", names)
    return CompetitionData(split, queries, gallery, ignored_queries, ignored_gallery)


def select_source(
    root: str | None,
    manifest: str | None,
    missing_labels: MissingLabels = MissingLabels.error,
    boxes: BoxUse = BoxUse.crop,
) -> DataSource:
    """Return the data source of the options `root` and `manifest`, of which one is given."""
    if (root is None) == (manifest is None):
        raise BenchError(
            "give the photos: root=<folder with query/<class>/ and gallery/<class>/ in it>, or "
            "manifest=<table with the columns path, label and split>, but not both"
        )
    if root is not None:
        folder = existing_folder(root, "root")
        if missing := [part for part in ("query", "gallery") if not (folder / part).is_dir()]:
            raise BenchError(
                f"root={root} has no subfolder {missing[0]}; a competition needs "
                "query/<class>/ and gallery/<class>/"
            )
        return PreparedFolders(root=root, missing_labels=missing_labels)
    assert manifest is not None  # noqa: S101 - one of them is given
    return Manifest(path=manifest, missing_labels=missing_labels, boxes=boxes)


def _assign_names(
    split: Split, part: ImageSet, name: str, style: Names
) -> tuple[dict[str, int], frozenset[str]]:
    """Return positions by name of a part, and the names of the images excluded from it."""
    style = Names.path if style is Names.path else Names.base
    # With a manifest, an excluded image may be of either part.
    other_folder = "gallery/" if name == "query" else "query/"
    excluded = [
        item.name
        for item in split.left_out
        if item.is_image and not item.name.startswith(other_folder)
    ]
    of_part = [path for path in excluded if path.startswith(f"{name}/")]
    try:
        given, _ = competition_names([*part.names, *of_part], name, style)
    except BenchError as error:
        raise BenchError(
            f"{split.name}: {error}. Note that names with class folders reveal the labels to the "
            "groups; use them for a rehearsal only"
        ) from None
    positions = dict(zip(given[: len(part)], range(len(part)), strict=True))
    ignored = [
        path.removeprefix(f"{name}/") if style is Names.path else path.rpartition("/")[2]
        for path in excluded
    ]
    return positions, frozenset(ignored) - positions.keys()


def _find_unreadable(split: Split, cache: Path) -> dict[bytes, LeftOut]:
    """Return the query and gallery photos that cannot be decoded, by digest."""
    from outliers_bench.duplicates.thumbnails import load_or_make_thumbnails

    images = split.query_and_gallery
    return {
        images.digests[row]: LeftOut(images.names[row], *reason)
        for row, reason in load_or_make_thumbnails(images, cache).unreadable.items()
    }


def _encoded_length(name: str) -> int:
    return len(json.dumps(name)) + _BYTES_PER_NAME
