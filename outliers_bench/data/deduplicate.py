"""An image content stands once in a part, and under one label."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from outliers_bench.types import ImageSet, LeftOut


def deduplicate(parts: Sequence[ImageSet]) -> tuple[list[ImageSet], list[LeftOut]]:
    """Take off exact copies within a part, and every copy of a content that bears two labels.

    The first by group and name stays; names decide nothing else, so a renamed file changes no
    split. What stands in two parts is left to the audit; see `data.leakage`.

    Parameters
    ----------
    parts : sequence of ImageSet
        The parts of one split, or one set that is still to be cut, with the same classes. A part
        without labels stays complete: each of its images is to be ranked, whatever it shows.

    Returns
    -------
    parts : list of ImageSet
        The parts, without the images left out.
    left_out : list of LeftOut
        `duplicate` names the copy that was kept, `conflicting_labels` one with another label.
    """
    copies: dict[bytes, list[tuple[int, str, int]]] = defaultdict(list)
    for number, part in enumerate(parts):
        for row, digest in enumerate(part.digests):
            group = "" if part.groups is None else part.groups[row]
            copies[digest].append((number, group, row))

    left_out = []
    dropped: list[set[int]] = [set() for _ in parts]
    for found in copies.values():
        if len(found) == 1:
            continue
        found.sort(key=lambda copy: (copy[0], copy[1], parts[copy[0]].names[copy[2]]))
        by_label: dict[str | None, tuple[int, int]] = {}
        for number, _, row in found:
            by_label.setdefault(_label(parts[number], row), (number, row))
        by_label.pop(None, None)
        first: dict[int, int] = {}
        for number, _, row in found:
            first.setdefault(number, row)
        for number, _, row in found:
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
                kept = part.names[first[number]]
                left_out.append(LeftOut(name, "duplicate", f"same content as {kept}"))
            else:
                continue
            dropped[number].add(row)
    remaining = [
        part.take([row for row in range(len(part)) if row not in gone]) if gone else part
        for part, gone in zip(parts, dropped, strict=True)
    ]
    return remaining, left_out


def _label(part: ImageSet, row: int) -> str | None:
    return None if part.labels is None else part.classes[part.labels[row]]
