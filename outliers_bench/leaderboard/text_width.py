"""How wide text is in a drawing, without a font: the page's reader chooses that."""

from __future__ import annotations

import unicodedata

SIZE = 9.0  # of letters, in points
ABOVE, BELOW = 0.76 * SIZE, 0.24 * SIZE  # what letters take above and below their line

# Of DejaVu Sans, which is wider than what most machines have, in thousandths of the size.
_WIDTHS = {
    300: "'ijlIJ",
    340: " ,./:;\\|·",
    400: "f-()[]t!r",
    500: '"*_`szc?–',
    600: "LFkvxyPTYoae",
    640: "EhnuSbdgpq$0123456789{}KZ",
    700: "AVXBRC",
    780: "UNHDG&OQ",
    870: "w#+<=>^~M×",
    1000: "%mW@…",
}
_WIDTH = {letter: width for width, letters in _WIDTHS.items() for letter in letters}
_OTHER, _WIDE = 640, 1000


def text_width(text: str) -> float:
    """How many points a text takes, to about a twentieth."""
    return sum(map(_letter_width, text)) * SIZE / 1000


def _letter_width(letter: str) -> int:
    known = _WIDTH.get(letter)
    if known is not None:
        return known
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" else _OTHER
