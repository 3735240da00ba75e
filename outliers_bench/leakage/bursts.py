"""Find bursts: photos of one label taken together, which are spread over query and gallery.

A query then finds the photo taken a second later, by its background as well as by what it shows,
and the score is that of new photos of old moments. Bursts are found by what the photos come with:
a column of encounters, times, names, looks; not if photos are in groups already.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from outliers_bench.data.components import components
from outliers_bench.data.crop_reader import split_name
from outliers_bench.data.formats.exif_time import read_exif_time
from outliers_bench.data.image_files import FileReader
from outliers_bench.evaluation import count_relevant
from outliers_bench.leakage.burst_evidence import (
    FINDERS,
    GAP,
    Burst,
    labels_of_set,
)
from outliers_bench.types import (
    CROPPED_FROM,
    GROUP,
    ImageSet,
    IntArray,
    Split,
    same,
)

BURST = "burst"  # column of `Bursts.apart`
TABLE = "bursts.csv"
"""File of a run in MLflow with the columns path, label, and group."""
_SAMPLE = 50  # photos whose EXIF data is read
_MIN_QUERIES, _MIN_SHARE = 5, 0.05  # that a burst concerns, of those that are scored


@dataclass(frozen=True, eq=False)
class Bursts:
    """Bursts that are spread over query and gallery.

    Parameters
    ----------
    apart : Split
        The same split, in which photos of the query's own burst are excluded.
    queries : int
        Number of queries that have relevant gallery photos of their own burst.
    evidence : str
        How bursts were recognized, such as `times at most 10min apart`.
    advice : str
        What keeps them apart, with options.
    images : ImageSet
        All labeled images of the split, each once.
    ids : array of int64, shape (n,)
        Burst of each of them.
    """

    apart: Split
    queries: int
    evidence: str
    advice: str
    images: ImageSet
    ids: IntArray


def find_bursts(split: Split, *, cache: Path) -> Bursts | None:
    """Find bursts by the first of: encounters, times, beginnings of names, numbers, and looks.

    Returns
    -------
    Bursts or None
        None without labels, if photos are in groups, or if bursts concern fewer than 5% of the
        queries.
    """
    if not split.labeled or GROUP in split.gallery.columns:
        return None
    images = _labeled_images(split)
    for find in FINDERS:
        burst = find(images, cache)
        if burst is not None and (found := _spread(split, images, burst)) is not None:
            return found
    return _by_looks(split, images, cache)


def _labeled_images(split: Split) -> ImageSet:
    """Return each labeled image of the split once, with the columns that all parts have."""
    parts = [split.gallery]
    known = set(split.gallery.digests)
    for part in (split.query, split.validation, split.train):
        if part is None or part.labels is None:
            continue
        parts.append(part.take([row for row, d in enumerate(part.digests) if d not in known]))
        known.update(part.digests)
    parts = [part for part in parts if len(part)]
    common = [name for name in parts[0].columns if all(name in part.columns for part in parts)]
    return ImageSet(
        names=tuple(name for part in parts for name in part.names),
        digests=tuple(digest for part in parts for digest in part.digests),
        labels=np.concatenate([labels_of_set(part) for part in parts]),
        classes=split.gallery.classes,
        reader=split.gallery.reader,
        columns={name: np.concatenate([part.columns[name] for part in parts]) for name in common},
    )


def _spread(split: Split, images: ImageSet, burst: Burst) -> Bursts | None:
    """Return the split without photos of the query's own burst, if they matter."""
    number = dict(zip(images.digests, burst.ids.tolist(), strict=True))

    def with_bursts(part: ImageSet) -> ImageSet:
        ids = np.array([number[digest] for digest in part.digests], np.int64)
        return replace(part, columns={**part.columns, BURST: ids})

    gallery = with_bursts(split.gallery)
    query = gallery if split.is_one_set else with_bursts(split.query)
    rule = split.excluded | same(BURST, and_label=True)
    apart = replace(split, query=query, gallery=gallery, excluded=rule)
    before, after = count_relevant(split), count_relevant(apart)
    queries = int((after < before).sum())
    if queries < max(_MIN_QUERIES, _MIN_SHARE * (before > 0).sum()) or not after.any():
        return None
    advice = _advise(burst, split, images)
    return Bursts(apart, queries, burst.evidence, advice, images, burst.ids)


def _advise(burst: Burst, split: Split, images: ImageSet) -> str:
    """Return what keeps bursts apart: an option, or the table of them as the data set."""
    if not split.drawn:  # the parts of a ready-made split stay as they are
        if burst.exclude:
            return f"{burst.exclude} excludes them"
        return f"put each burst into one part; {TABLE} lists them"
    group, reader = burst.group, images.reader
    if not group and _have_exif_times(images):
        group = f"data.encounter_gap={GAP}"
    if not group and isinstance(reader, FileReader) and CROPPED_FROM not in images.columns:
        group = f"data=manifest data.path={TABLE} data.root={shlex.quote(str(reader.root))}"
    if group:
        return f"{group} keeps bursts in one part"
    return f"a column group keeps bursts in one part; {TABLE} has one"


def _have_exif_times(images: ImageSet) -> bool:
    """Check by some photos whether most have a time in their EXIF data."""
    if not isinstance(images.reader, FileReader):
        return False
    rows = range(0, len(images), max(1, len(images) // _SAMPLE))
    root = images.reader.root
    texts = [read_exif_time(root / split_name(images.names[row])[0]) for row in rows]
    return sum(map(bool, texts)) > 0.9 * len(texts)


def _by_looks(split: Split, images: ImageSet, cache: Path) -> Bursts | None:
    """Link photos of one scene; duplicates alone are a matter of the audit."""
    from outliers_bench.duplicates.find import find_pairs

    audited = split.images
    found = find_pairs(audited, cache=cache)
    row_of = {digest: row for row, digest in enumerate(images.digests)}
    rows = np.array([row_of.get(digest, -1) for digest in audited.digests], np.int64)

    def linked(pairs: Sequence[tuple[int, int]]) -> Burst:
        at = rows[np.array(pairs, np.int64).reshape(-1, 2)]
        labels = labels_of_set(images)
        same_label = (at >= 0).all(axis=1) & (labels[at[:, 0]] == labels[at[:, 1]])
        return Burst(components(at[same_label], len(images)), "photos of one scene")

    if _spread(split, images, linked(found.alike)) is None:
        return None
    duplicates = [(pair.first, pair.second) for pair in found.pairs]
    return _spread(split, images, linked([*found.alike, *duplicates]))
