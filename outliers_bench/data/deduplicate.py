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
    by_content: dict[bytes, list[tuple[int, str, str, int]]] = defaultdict(list)
    for number, part in enumerate(parts):
        groups = part.groups or ("",) * len(part)
        for row, (digest, group) in enumerate(zip(part.digests, groups, strict=True)):
            by_content[digest].append((number, group, part.names[row], row))

    left_out = []
    dropped: list[set[int]] = [set() for _ in parts]
    for copies in by_content.values():
        if len(copies) == 1:
            continue
        copies.sort()
        name_of_label: dict[str, str] = {}
        first_in_part: dict[int, tuple[str, int]] = {}
        for number, _, name, row in copies:
            label = _label(parts[number], row)
            if label is not None:
                name_of_label.setdefault(label, name)
        for number, _, name, row in copies:
            label = _label(parts[number], row)
            first = first_in_part.setdefault(number, (name, row))
            if label is None:
                continue
            if len(name_of_label) > 1:
                other = next(key for key in name_of_label if key != label)
                detail = f"is {label!r} here and {other!r} as {name_of_label[other]}"
                left_out.append(LeftOut(name, "conflicting_labels", detail))
            elif first != (name, row):
                left_out.append(LeftOut(name, "duplicate", f"same content as {first[0]}"))
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
