"""The photos that a competition is about: what they are called, and what only the server knows."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.apps.submit.names import Names, given_names
from outliers_bench.data.image_files import existing_folder
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import count_relevant
from outliers_bench.types import ImageSet, LeftOut, Split

_BESIDE = 2**16  # bytes of a submission that are not file names
_SPACING = 2  # how much longer than needed a JSON may be, for who writes it with indents
_PER_NAME = 4  # bytes: quotes, comma, space


@dataclass(frozen=True, eq=False)
class CompetitionData:
    """A labeled query and gallery set under the names that the groups know.

    Parameters
    ----------
    split : Split
        The photos with their labels.
    queries, gallery : mapping of str to int
        Name to position in `split.query` and `split.gallery`.
    uncounted_queries, uncounted_gallery : collection of str
        Names that may be sent and do not count: copies and damaged files, which are left out.
    """

    split: Split
    queries: Mapping[str, int]
    gallery: Mapping[str, int]
    uncounted_queries: Collection[str]
    uncounted_gallery: Collection[str]

    def largest(self, max_rank: int) -> int:
        """Bytes that are enough for a submission with so many gallery images a query."""
        gallery = [*self.gallery, *self.uncounted_gallery]
        queries = [*self.queries, *self.uncounted_queries]
        listed = min(max_rank, len(gallery)) * max(map(_length, gallery))
        return _BESIDE + _SPACING * sum(_length(name) + listed for name in queries)


def hold(source: DataSource, *, cache: Path, names: Names) -> CompetitionData:
    """Find the photos and check that they make a competition.

    Each is decoded once: of a photo that no run can read nobody could hand in a list.

    Parameters
    ----------
    source : DataSource
        `PreparedFolders`, or a `Manifest` with a column split.
    cache : Path
        See `DataSource.load`; remembers what has been decoded.
    names : Names
        What the files are called. `auto` is `base`, and refuses names that are shared: a name with
        its class's folder in it would tell the label.

    Raises
    ------
    BenchError
        If there are no labels, no query can be answered, or names are shared.
    """
    try:
        split = source.load(seed=0, cache=cache)
    except BenchError as error:  # which names the options of a run
        said = str(error).replace("data.root=", "root=").replace("data.path=", "manifest=")
        raise BenchError(said) from None
    if split.leave_one_out or not split.labeled:
        raise BenchError(
            f"{split.name}: a competition needs the labels of its query and gallery images; put "
            "them into a folder for each class, or give a manifest with labels and split"
        )
    split = split.without(_damaged(split, cache))
    if not count_relevant(split.query, split.gallery, leave_one_out=False).any():
        raise BenchError(
            f"{split.name}: no query has a gallery image of its class, so nothing could be "
            "scored; query and gallery must share class names"
        )
    queries, uncounted_queries = _named(split, split.query, "query", names)
    gallery, uncounted_gallery = _named(split, split.gallery, "gallery", names)
    return CompetitionData(split, queries, gallery, uncounted_queries, uncounted_gallery)


def source_of(root: str | None, manifest: str | None) -> DataSource:
    """The source that the options name.

    Raises
    ------
    BenchError
        Unless exactly one is given, or where the folder has other folders in it.
    """
    if (root is None) == (manifest is None):
        raise BenchError(
            "give the photos: root=<folder with query/<class>/ and gallery/<class>/ in it>, or "
            "manifest=<table with the columns path, label and split>, one of them"
        )
    if root is not None:
        folder = existing_folder(root, "root")
        if missing := [part for part in ("query", "gallery") if not (folder / part).is_dir()]:
            raise BenchError(
                f"root={root}: there is no folder {missing[0]} in it; a competition needs "
                "query/<class>/ and gallery/<class>/"
            )
        return PreparedFolders(root=root)
    assert manifest is not None  # noqa: S101 - one of them is given
    return Manifest(path=manifest)


def _named(
    split: Split, part: ImageSet, name: str, style: Names
) -> tuple[dict[str, int], frozenset[str]]:
    """Names and positions of a part, and the names of what was left out of it."""
    style = Names.path if style is Names.path else Names.base
    folder = f"{name}/"
    inside = all(each.startswith(folder) for each in part.names)
    left_out = [item.name for item in split.left_out if not inside or item.name.startswith(folder)]
    try:
        # Of a table, what was left out may be of another part, and be called like one of this.
        given, _ = given_names([*part.names, *(left_out if inside else ())], name, style)
    except BenchError as error:
        raise BenchError(
            f"{split.name}: {error}. Mind that folders are named after classes: such names tell "
            "the groups the labels, which does for a rehearsal only"
        ) from None
    known = dict(zip(given[: len(part)], range(len(part)), strict=True))
    if inside:
        return known, frozenset(given[len(part) :])
    others = left_out if style is Names.path else [each.rpartition("/")[2] for each in left_out]
    return known, frozenset(others) - known.keys()


def _damaged(split: Split, cache: Path) -> dict[bytes, LeftOut]:
    """The photos of query and gallery that cannot be decoded, by content."""
    from outliers_bench.duplicates.thumbnails import thumbnails

    images = split.query_and_gallery
    return {
        images.digests[row]: LeftOut(images.names[row], "unreadable", why)
        for row, why in thumbnails(images, cache).unreadable.items()
    }


def _length(name: str) -> int:
    return len(json.dumps(name)) + _PER_NAME
