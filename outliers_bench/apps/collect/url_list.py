"""List of images to collect: URLs with labels, from a table or a text file."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO

from outliers_bench.data.image_files import absolute_path, describe_os_error
from outliers_bench.errors import BenchError

_LICENSE = re.compile("licen[cs]e")  # accepts British spelling as well


@dataclass(frozen=True)
class ListedImage:
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
        A `.csv` or `.tsv` table with the column url and optionally label and license; or a `.txt`
        file with one URL per line, in which lines that begin with # are comments.
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
    file = absolute_path(path)
    kind = file.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt"):
        raise BenchError(f"urls={path}: give a .csv, .tsv or .txt file")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BenchError(f"urls={path}: {describe_os_error(error)} (looked for {file})") from None
    except UnicodeDecodeError:
        raise BenchError(f"urls={path} is not UTF-8 text; save it as UTF-8") from None
    rows = _parse_text(text) if kind == ".txt" else _parse_table(text, kind, path)
    try:
        images = [_parse_row(number, cells, label, license, path) for number, cells in rows]
    except csv.Error as error:
        raise BenchError(f"urls={path} cannot be read as a table: {error}") from None
    if not images:
        raise BenchError(f"urls={path} is empty: it contains no URL")
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


def normalize_label(text: str | None) -> str:
    """Normalize white space and Unicode accents of a label."""
    return unicodedata.normalize("NFC", " ".join((text or "").split()))


def _parse_text(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"url": line}


def _parse_table(text: str, kind: str, path: str) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the rows with their numbers, counted from 1 without the header."""
    reader = csv.DictReader(
        StringIO(text, newline=""), delimiter="\t" if kind == ".tsv" else ",", restval=""
    )
    if reader.fieldnames is None:
        raise BenchError(f"urls={path} is empty: it contains no URL")
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames]
    if "url" not in reader.fieldnames:
        raise BenchError(
            f"urls={path} has no column url; it has {', '.join(reader.fieldnames)}. Required: url. "
            "Optional: label, license"
        )
    for number, row in enumerate(reader, 1):
        yield number, {name: cell for name, cell in row.items() if isinstance(cell, str)}


def _parse_row(
    number: int, cells: dict[str, str], label: str | None, license: str | None, path: str
) -> ListedImage:
    url = "".join(cells["url"].splitlines()).strip().partition("#")[0]
    label = normalize_label(cells.get("label")) or normalize_label(label)
    if not url:
        raise BenchError(f"urls={path}: row {number} has no url")
    if not label:
        raise BenchError(
            f"urls={path}: row {number} ({url}) has no label; fill in the column label, or give "
            "label= for all rows without one"
        )
    terms = next(
        (cell for name, cell in cells.items() if cell and _LICENSE.fullmatch(name)), license or ""
    )
    return ListedImage(url, label, " ".join(terms.split()))
