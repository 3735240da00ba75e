"""Summary of a run's images: parts, classes, exclusions, and labels that need a look."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from outliers_bench.data.class_counts import count_classes
from outliers_bench.data.labels import describe_look_alikes
from outliers_bench.evaluation import count_relevant
from outliers_bench.runtime.units import list_first
from outliers_bench.types import CROPPED_FROM, ENCOUNTER, GROUP, LeftOut, LeftOutKind, Split

_CLASSES = 5  # names of classes that are listed
_FILES = 2  # names of excluded images that are listed
_OTHERS = {GROUP: " of other groups", CROPPED_FROM: " of other photos"}
_EXCLUDED: dict[LeftOutKind, str] = {
    "unreadable": "unreadable",
    "unsupported": "of an unsupported format",
    "duplicate": "as duplicates",
    "conflicting_labels": "with conflicting labels",
    "unlabeled": "without a label",
    "missing_value": "without a value to split by",
    "unselected": "not selected",
    "other": "without an image",
    "system": "hidden or of the system",
    "no_detection": "without a detection",
    "unusable_box": "with an unusable box",
}


def data_rows(split: Split) -> list[tuple[str, str]]:
    """Return heading and text of the numbers of images in each part, and of `finding_rows`."""
    others = " each against all others"
    others += "".join(_OTHERS.get(column, "") for column in split.excluded.columns)
    against = others if split.is_one_set else ""
    return [
        ("queries", f"{len(split.query):,}{against}{_describe_validation(split)}"),
        ("gallery", f"{len(split.gallery):,}"),
        ("train", f"{len(split.train):,}"),
        *finding_rows(split),
    ]


def _describe_validation(split: Split) -> str:
    if split.is_validation:
        return " of the validation part"
    if split.validation is None:
        return ""
    return f"; {len(split.validation):,} others are validation queries, which are not ranked"


def finding_rows(split: Split) -> list[tuple[str, str]]:
    """Return heading and text of what was found in the images of a split.

    Classes with their sizes, where the labels are from if another folder may be meant, what decided
    the parts if not chance, and images that stay in one part together; excluded images and the
    reasons; and, if there are any, queries without relevant images, and labels that look alike.
    """
    rows = [
        ("classes", _describe_classes(split)),
        ("labels", split.labels_from),
        ("split", split.parts_from),
        *_group_rows(split),
        ("junk", _describe_junk(split)),
        ("no match", _describe_unmatched(split)),
        ("excluded", _describe_excluded(split.left_out)),
        ("spelling", describe_look_alikes(split.gallery.classes)),
    ]
    return [(heading, text) for heading, text in rows if text]


def _describe_junk(split: Split) -> str:
    columns = [column for column, and_label in split.excluded.values if and_label]
    if not columns:
        return ""
    others = tuple(value for value in split.excluded.values if not value.and_label)
    rest = replace(split, excluded=replace(split.excluded, values=others))
    excluded = split.exclusion.counts - rest.exclusion.counts
    alike = "the query's class and its" if split.labeled else "the query's"
    return (
        f"{excluded.mean():.1f} gallery photos per query with {alike} {' or '.join(columns)}, "
        f"up to {excluded.max():,}: neither right nor wrong"
    )


def _describe_classes(split: Split) -> str:
    counts = count_classes(split)
    if not counts.classes:
        return ""
    names, images = counts.classes, counts.images
    smallest, largest = images.argmin(), images.argmax()
    least, most = _count(images[smallest], "image"), f"{images[largest]:,}"
    text = f"{len(names):,}{'' if split.labeled else ' in train'}, of {least}"
    if images[smallest] == images[largest]:
        return f"{text} each"
    median = f"{np.median(images):,.1f}".removesuffix(".0")
    text += f" ({names[smallest]}) to {most} ({names[largest]}), median {median}"
    singletons = counts.singletons
    return (
        f"{text}; {len(singletons):,} of one: {list_first(singletons, _CLASSES)}"
        if singletons
        else text
    )


def _group_rows(split: Split) -> list[tuple[str, str]]:
    """Describe the groups of images, which are encounters or others."""
    parts = {id(part): part for part in (split.train, split.gallery, split.query)}
    groups = Counter(group for part in parts.values() for group in part.groups or ())
    labels: dict[str, set[str]] = defaultdict(set)
    for part in parts.values():
        of_rows = [] if part.labels is None else part.labels.tolist()
        for group, label in zip(part.groups or (), of_rows, strict=False):
            labels[group].add(part.classes[label])
    mixed = sum(len(each) > 1 for each in labels.values())
    sizes = {group: size for group, size in groups.items() if size > 1}
    if not groups:
        return []
    encounters = {text for part in parts.values() for text in part.columns.get(ENCOUNTER, ())}
    heading = "encounters" if sizes and sizes.keys() <= encounters else "groups"
    alone = len(groups) - len(sizes)
    texts = [f"{alone:,} image{'' if alone == 1 else 's'} alone"] if alone else []
    if sizes:
        least, most = min(sizes.values()), max(sizes.values())
        of = f"{least:,} images each" if least == most else f"{least:,} to {most:,} images"
        of += f" ({mixed:,} of several classes)" if mixed else ""
        texts.insert(0, f"{len(sizes):,}, of {of}")
    if not split.is_one_set:
        texts.append("each in one part")
    return [(heading, "; ".join(texts))]


def _describe_unmatched(split: Split) -> str:
    """Describe the queries that are not scored, by their labels."""
    query = split.query
    if query.labels is None or not split.labeled:
        return ""
    labels = query.labels[count_relevant(split) == 0]
    if not len(labels):
        return ""
    names = [query.classes[label] for label in np.unique(labels)]
    queries = _count(len(labels), "query", "queries")
    classes = _count(len(names), "class", "classes")
    return f"{queries} without relevant images, of {classes}: {list_first(names, _CLASSES)}"


def _describe_excluded(left_out: Sequence[LeftOut]) -> str:
    by_kind: dict[LeftOutKind, list[str]] = {}
    for item in left_out:
        by_kind.setdefault(item.kind, []).append(item.name)
    reasons = [
        f"{len(names):,} {_EXCLUDED[kind]} ({list_first(names, _FILES)})"
        for kind, names in by_kind.items()
    ]
    return "; ".join(reasons) or "nothing"


def _count(n: int, noun: str, plural: str = "") -> str:
    return f"{n:,} {noun if n == 1 else plural or f'{noun}s'}"
