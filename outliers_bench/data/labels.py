"""Labels as people mean them: one spelling of each, missing ones, and those that look alike."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from enum import Enum
from functools import lru_cache

# Functional syntax, because one member is a keyword: `data.missing_labels=class`.
MissingLabels = Enum("MissingLabels", {"error": "error", "exclude": "exclude", "class": "class"})
"""Handling of images whose label is missing; see `is_missing`.

`error`: the run ends before the work. `exclude`: the images are excluded and counted. `class`: each
spelling is a class; an empty label is still refused.
"""

# Soft hyphen, zero-width space, marks of writing direction, byte order mark: they cannot be seen.
_INVISIBLE = dict.fromkeys(
    (
        *(0xAD, 0x61C, 0x180E, 0x200B, 0x200E, 0x200F, 0xFEFF),
        *range(0x202A, 0x202F),
        *range(0x2060, 0x2065),
        *range(0x2066, 0x206A),
    )
)
_CONTROL = dict.fromkeys((*range(0x20), *range(0x7F, 0xA0)), " ")
# Joiners are part of words in some scripts and of emoji, but not at the ends.
_AT_ENDS = " \u200c\u200d"

MISSING = frozenset(
    (
        # Programs: R, pandas, SQL, JSON, spreadsheets; -1 in arrays of numbers.
        *(
            "",
            "na",
            "<na>",
            "n/a",
            "#n/a",
            "n.a.",
            "n.a",
            "#na",
            "nan",
            "-nan",
            "nat",
            "none",
            "null",
        ),
        *("<null>", "nil", "missing", "-1", "-1.0"),
        # People.
        *("unknown", "(unknown)", "unk", "unidentified", "not identified", "undetermined"),
        *(f"unlabel{ending}" for ending in ("ed", "led")),  # the second is British
        *("not available", "no id", "no label"),
        # Competitions in which all individuals that nobody knows have one name.
        *("unknown individual", "new_whale", "new_individual"),
    )
)
"""Labels, in lower case, that name no individual; so do marks alone, such as `?`, `-` and `.`."""

_MARKS = re.compile(r"[?.…_*\-\u2010-\u2015\u2212]+")
_NUMBER = re.compile(r"0*(\d+)(?:[.,]0+)?")


@lru_cache(maxsize=2**16)
def normalize(text: str) -> str:
    r"""Return the one spelling of a label that looks the same.

    Unicode NFC; without blanks at the ends, and any others single; without invisible characters.
    Letter case and punctuation stay, since they may distinguish individuals.

    Examples
    --------
    >>> normalize(" lion\u00a0\t king\u200b"), normalize("Lo\u0308we") == "L\u00f6we"
    ('lion king', True)
    """
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    words = text.translate(_INVISIBLE).translate(_CONTROL).split()
    return unicodedata.normalize("NFC", " ".join(words)).strip(_AT_ENDS)


@lru_cache(maxsize=2**16)
def is_missing(label: str) -> bool:
    """Check whether a normalized label names no individual; see `MISSING`.

    Examples
    --------
    >>> is_missing(""), is_missing("N/A"), is_missing("??"), is_missing("Nala")
    (True, True, True, False)
    """
    return label.casefold() in MISSING or _MARKS.fullmatch(label) is not None


def present(text: str) -> str:
    """Return a text normalized, or empty if it names nothing; see `is_missing`."""
    cleaned = normalize(text)
    return "" if is_missing(cleaned) else cleaned


@lru_cache(maxsize=8)  # a run describes the same classes several times
def look_alikes(labels: tuple[str, ...]) -> list[tuple[str, ...]]:
    """Return groups of different labels that may be one, misspelled.

    They differ only in letter case, punctuation and blanks between words, compatible characters
    (full-width letters, ligatures), or, for a number, in leading zeros and decimals.

    Examples
    --------
    >>> look_alikes(("Lion", "lion", "sea_horse", "sea horse", "7", "007", "7.0", "17"))
    [('007', '7', '7.0'), ('Lion', 'lion'), ('sea horse', 'sea_horse')]
    """
    groups = defaultdict(set)
    for label in labels:
        groups[_essence(label)].add(label)
    return sorted(tuple(sorted(group)) for group in groups.values() if len(group) > 1)


class _Separators(dict[int, int]):
    """Table of `str.translate` that makes punctuation and separators blanks, filled when used.

    Symbols stay: they may distinguish labels, as the signs of the sexes do.
    """

    def __missing__(self, code: int) -> int:
        is_separator = unicodedata.category(chr(code))[0] in "PZ"
        self[code] = ord(" ") if is_separator else code
        return self[code]


_SEPARATORS = _Separators()


def _essence(label: str) -> str:
    folded = unicodedata.normalize("NFKC", label).casefold()
    if number := _NUMBER.fullmatch(folded):
        return number[1]
    return " ".join(folded.translate(_SEPARATORS).split()) or folded


def describe_look_alikes(labels: tuple[str, ...], *, shown: int = 3) -> str:
    """Describe labels that may be one, misspelled; empty without any.

    Examples
    --------
    >>> describe_look_alikes(("Lion", "lion", "tiger"))
    "'Lion' and 'lion' are different classes; rename them if they are one"
    """
    groups = look_alikes(labels)
    if not groups:
        return ""
    listed = "; ".join(" and ".join(map(repr, group)) for group in groups[:shown])
    more = f"; and {len(groups) - shown:,} more" if len(groups) > shown else ""
    return f"{listed}{more} are different classes; rename them if they are one"
