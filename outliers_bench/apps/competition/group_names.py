"""Names of groups: those that show nothing are refused, those that look equal are one group."""

from __future__ import annotations

import unicodedata

from outliers_bench.web.refusal import RefusedError

_MAX_LENGTH = 64  # characters
# Default_Ignorable_Code_Point of Unicode where the category does not say so (which `unicodedata`
# lacks), and the blank Braille pattern.
_INVISIBLE = frozenset(
    map(chr, [0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), 0x2800, 0x3164])
) | frozenset(map(chr, [*range(0xFE00, 0xFE10), 0xFFA0, *range(0xE0100, 0xE01F0)]))


def normalize_group(value: object) -> str:
    """Return the name of a group as it is shown.

    Raises
    ------
    RefusedError
        422 if it is no text, too long, or shows nothing; if it has control characters or marks of
        writing direction.
    """
    if not isinstance(value, str):
        raise RefusedError(422, "groupname must be a string")
    group = " ".join(unicodedata.normalize("NFC", value).split())
    if not group or len(group) > _MAX_LENGTH:
        raise RefusedError(422, f"groupname must have 1 to {_MAX_LENGTH} characters")
    # Control characters, marks of writing direction, zero width, surrogates.
    if any(unicodedata.category(letter)[0] == "C" for letter in value):
        raise RefusedError(422, "groupname has characters that cannot be displayed")
    if all(unicodedata.category(letter)[0] in "MZ" for letter in group_key(group)):
        raise RefusedError(422, "groupname shows nothing; give letters or digits")
    return group


def group_key(group: str) -> str:
    """Return what equal-looking names have in common: Unicode's NFKC_Casefold."""
    text = "".join(letter for letter in group if letter not in _INVISIBLE)
    text = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    # NFKC makes fillers, and spaces before marks, out of other characters.
    return " ".join("".join(each for each in text if each not in _INVISIBLE).split())
