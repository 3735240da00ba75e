"""Remove exact duplicates within a part, and images that have conflicting labels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from outliers_bench.types import ImageSet, LeftOut


def deduplicate(parts: Sequence[ImageSet]) -> tuple[list[ImageSet], list[LeftOut]]:
    """Remove exact duplicates within a part, and every image whose content has two labels.

    The first duplicate by group and name stays. Names decide nothing else, so renaming a file
    changes no split. Duplicates across parts are left to the audit; see `data.leakage`.

    Parameters
    ----------
    parts : sequence of ImageSet
        The parts of one split, or one set that is not split yet, with the same classes. A part
        without labels stays complete, since every image in it has to be ranked.

    Returns
    -------
    parts : list of ImageSet
        The parts without the excluded images.
    left_out : list of LeftOut
        The excluded images. `duplicate` names the image that stays, `conflicting_labels` one with
        another label.
    """
    by_content: dict[bytes, list[tuple[int, str, int]]] = defaultdict(list)
    for number, part in enumerate(parts):
        groups = part.groups or ("",) * len(part)
        for row, (digest, group) in enumerate(zip(part.digests, groups, strict=True)):
            by_content[digest].append((number, group, row))

    left_out = []
    dropped: list[set[int]] = [set() for _ in parts]
    for duplicates in by_content.values():
        if len(duplicates) == 1:
            continue
        duplicates.sort(key=lambda each: (each[0], each[1], parts[each[0]].names[each[2]]))
        by_label: dict[str | None, tuple[int, int]] = {}
        for number, _, row in duplicates:
            by_label.setdefault(_label(parts[number], row), (number, row))
        by_label.pop(None, None)
        first: dict[int, int] = {}
        for number, _, row in duplicates:
            first.setdefault(number, row)
        for number, _, row in duplicates:
            part = parts[number]
            name, label = part.names[row], _label(part, row)
            if label is None:
                continue
            if len(by_label) > 1:
                other = next(key for key in by_label if key != label)
                twin_part, twin_row = by_label[other]
                twin = parts[twin_part].names[twin_row]
                detail = f"is {label!r} here and {other!r} as {twin}"
                left_out.append(LeftOut(name, "conflicting_labels", detail))
            elif row != first[number]:
                original = part.names[first[number]]
                left_out.append(LeftOut(name, "duplicate", f"same content as {original}"))
            else:
                continue
            dropped[number].add(row)
    remaining = [
        part.take([row for row in range(len(part)) if row not in rows]) if rows else part
        for part, rows in zip(parts, dropped, strict=True)
    ]
    return remaining, left_out


def _label(part: ImageSet, row: int) -> str | None:
    return None if part.labels is None else part.classes[part.labels[row]]
