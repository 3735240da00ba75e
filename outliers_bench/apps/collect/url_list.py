"""List of images to collect: URLs with labels, from a table or a text file."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from outliers_bench.data.image_files import absolute_path, describe_os_error
from outliers_bench.data.labels import normalize
from outliers_bench.data.tables.columns import URLS, plain
from outliers_bench.data.tables.text import decode_text, parse_text
from outliers_bench.errors import BenchError

_COLUMNS = ("url", "label", "license")


class ListedImage(NamedTuple):
    """One image to collect.

    Parameters
    ----------
    url : str
        URL without a fragment.
    label : str
        Class of the image.
    license : str
        License, or a URL that states it; empty if unknown.
    page : str
        Page on which the URL was found; empty if it is from a list.
    """

    url: str
    label: str
    license: str = ""
    page: str = ""


def read_url_list(path: str, *, label: str | None, license: str | None) -> list[ListedImage]:
    """Read a list of URLs.

    Parameters
    ----------
    path : str
        A `.csv` or `.tsv` table with the column url and optionally label and license, in any
        dialect that `parse_text` reads; or a `.txt` file with one URL per line, in which lines that
        begin with # are comments.
    label, license : str or None
        Defaults for rows without a value.

    Returns
    -------
    list of ListedImage
        In the order of the list; see `deduplicate`.

    Raises
    ------
    BenchError
        If the file cannot be read, has no column url or no rows, or a row has no URL or label.
    """
    file = absolute_path(path, "urls")
    kind = file.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt"):
        raise BenchError(f"urls={path}: give a .csv, .tsv or .txt file")
    given = f"urls={path}"
    try:
        text = decode_text(file.read_bytes(), given)
    except OSError as error:
        raise BenchError(f"{given}: {describe_os_error(error)} (looked for {file})") from None
    rows = _read_lines(text) if kind == ".txt" else _read_table(text, given)
    if not rows:
        raise BenchError(f"{given} is empty: it contains no URL")
    images = []
    for number, cells in rows.items():
        url = "".join(cells["url"].splitlines()).strip().partition("#")[0]
        own_label = normalize(cells.get("label") or "") or normalize(label or "")
        if not url:
            raise BenchError(f"urls={path}: row {number} has no url")
        if not own_label:
            raise BenchError(
                f"urls={path}: row {number} ({url}) has no label; fill in the column label, or "
                "give label= for all rows without one"
            )
        terms = cells.get("license") or license or ""
        images.append(ListedImage(url, own_label, " ".join(terms.split())))
    return deduplicate(images, source=f"urls={path}")


def deduplicate(images: Iterable[ListedImage], *, source: str) -> list[ListedImage]:
    """Return each URL once, in order.

    Parameters
    ----------
    images : iterable of ListedImage
        The images.
    source : str
        Option that lists them, for messages.

    Raises
    ------
    BenchError
        If a URL has two labels, or two labels differ only in letter case.
    """
    by_url: dict[str, ListedImage] = {}
    spellings: dict[str, str] = {}
    for image in images:
        first = by_url.setdefault(image.url, image)
        if first.label != image.label:
            raise BenchError(
                f"{source}: {image.url} has two labels, {first.label!r} and {image.label!r}; "
                "give it one, or remove it"
            )
        spelling = spellings.setdefault(image.label.casefold(), image.label)
        if spelling != image.label:
            raise BenchError(
                f"{source}: the labels {spelling!r} and {image.label!r} differ only in letter "
                "case, and would share a folder on some systems; use one spelling"
            )
    return list(by_url.values())


def column_name(text: str) -> str:
    """Normalize the name of a column; earlier versions had the British spelling of license."""
    return re.sub("licen[cs]e", "license", text.strip().lower())


def _read_lines(text: str) -> dict[int, dict[str, str]]:
    lines = (line.strip() for line in text.splitlines())
    return {
        number: {"url": line}
        for number, line in enumerate(lines, start=1)
        if line and not line.startswith("#")
    }


def _read_table(text: str, given: str) -> dict[int, dict[str, str]]:
    """Return the cells of each row, by the number of the row."""
    table = parse_text(text, given, lambda names: sum(column_name(n) in _COLUMNS for n in names))
    names = [column_name(name) for name in table.header]
    if "url" not in names:
        addresses = [name for name in names if plain(name) in URLS]
        if len(addresses) != 1:
            raise BenchError(
                f"{given} has no column url; it has {', '.join(table.header)}. Required: url. "
                "Optional: label, license"
            )
        names[names.index(addresses[0])] = "url"
    rows = [dict(zip(names, row, strict=True)) for row in table.rows]
    return dict(zip(table.numbers, rows, strict=True))
