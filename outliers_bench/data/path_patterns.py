"""Patterns that select files by their path, such as `*_mask.png` or `old/**`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from outliers_bench.errors import BenchError
from outliers_bench.types import LeftOut


def select(
    names: Sequence[str],
    left_out: Sequence[LeftOut],
    *,
    include: Sequence[str],
    exclude: Sequence[str],
) -> tuple[list[str], list[LeftOut]]:
    """Exclude the images that the options `data.include` and `data.exclude` do not select.

    Parameters
    ----------
    names : sequence of str
        Paths of images.
    left_out : sequence of LeftOut
        Files that are excluded already. Images of unsupported formats are selected, too.
    include, exclude : sequence of str
        Patterns; see `compile_pattern`. An image stays if it matches one of `include`, or there are
        none, and none of `exclude`.

    Raises
    ------
    BenchError
        If a pattern matches no file, or no image is selected.
    """
    wanted, unwanted = (
        _used(names, left_out, option, patterns)
        for option, patterns in (("data.include", include), ("data.exclude", exclude))
    )

    def reason(name: str) -> str:
        matching = next((text for text, pattern in unwanted if matches(pattern, name)), None)
        if matching is not None:
            return f"matches data.exclude={matching}"
        if wanted and not any(matches(pattern, name) for _, pattern in wanted):
            return "does not match data.include"
        return ""

    if not wanted and not unwanted:
        return list(names), list(left_out)
    remaining, excluded = [], []
    for name in names:
        if why := reason(name):
            excluded.append(LeftOut(name, "unselected", why))
        else:
            remaining.append(name)
    for item in left_out:
        why = reason(item.name) if item.kind == "unsupported" else ""
        excluded.append(LeftOut(item.name, "unselected", why) if why else item)
    return remaining, sorted(excluded, key=lambda item: item.name)


def compile_pattern(text: str) -> re.Pattern[str]:
    r"""Return the regular expression of a pattern on the relative path of a file.

    `*` and `?` match any characters and any one character except `/`; `[ab]` one of several, and
    `[!ab]` one of all others; `**` any number of folders. A pattern without a slash matches a name
    at any depth. A folder that matches includes all files in it. Case, and how accents are
    encoded, make no difference.

    Raises
    ------
    BenchError
        If the pattern is empty or absolute.

    Examples
    --------
    >>> pattern = compile_pattern("*.jpg")
    >>> bool(matches(pattern, "a/b.JPG")), bool(matches(pattern, "a/b.jpg.txt"))
    (True, False)
    """
    pattern = unicodedata.normalize("NFC", text).removeprefix("./")
    parts = pattern.removesuffix("/").split("/")
    if "" in parts:
        raise BenchError(
            f"{text!r} is no pattern of a path in data.root; give one such as *_mask.png, old/**, "
            "or */cat"
        )
    expression = "" if len(parts) > 1 else "(?:.*/)?"
    for part in parts[:-1]:
        expression += "(?:.*/)?" if part == "**" else _translate(part) + "/"
    expression += ".+" if parts[-1] == "**" else _translate(parts[-1])
    below = "/.*" if pattern.endswith("/") else "(?:/.*)?"
    try:
        return re.compile(expression + below, re.DOTALL | re.IGNORECASE)
    except re.error as error:
        raise BenchError(f"{text!r} is no pattern of a path: {error}") from None


def matches(pattern: re.Pattern[str], name: str) -> bool:
    """Check whether the path of a file, or of a folder that contains it, matches."""
    text = name if name.isascii() else unicodedata.normalize("NFC", name)
    return pattern.fullmatch(text) is not None


def _translate(part: str) -> str:
    """Translate a pattern of one name."""
    pieces = re.findall(r"\[!?[^\]][^\]]*\]|\*+|.", part, re.DOTALL)
    return "".join(map(_translate_piece, pieces))


def _translate_piece(piece: str) -> str:
    if piece[0] == "*":
        return "[^/]*"
    if piece == "?":
        return "[^/]"
    if len(piece) == 1:
        return re.escape(piece)
    inverted = piece[1] == "!" and len(piece) > 3
    characters = re.sub(r"([\\^\[&~|])", r"\\\1", piece[2 if inverted else 1 : -1])
    return f"[^/{characters}]" if inverted else f"[{characters}]"


def _used(
    names: Sequence[str], left_out: Sequence[LeftOut], option: str, patterns: Sequence[str]
) -> list[tuple[str, re.Pattern[str]]]:
    """Compile patterns; raise `BenchError` for one that matches nothing."""
    compiled = [(text, compile_pattern(text)) for text in patterns]
    files = [*names, *(item.name for item in left_out)] if compiled else []
    for text, pattern in compiled:
        if not any(matches(pattern, name) for name in files):
            first = f", such as {files[0]}" if files else ""
            raise BenchError(
                f"{option}={text} matches none of the {len(files):,} files{first}; patterns are "
                "compared with the path in data.root, and ** is any number of folders"
            )
    return compiled
