"""Approximate width of text in a drawing; its font is chosen by the browser."""

from __future__ import annotations

import unicodedata

SIZE = 9.0  # font size in points
ABOVE, BELOW = 0.76 * SIZE, 0.24 * SIZE  # height of letters above and below the baseline

# Widths of DejaVu Sans, which is wider than most fonts, in thousandths of the font size.
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
    """Return the width of a text in points, to within about 5%."""
    return sum(map(_letter_width, text)) * SIZE / 1000


def _letter_width(letter: str) -> int:
    width = _WIDTH.get(letter)
    if width is not None:
        return width
    return _WIDE if unicodedata.east_asian_width(letter) in "WF" else _OTHER
