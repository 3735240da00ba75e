"""The list of what to collect: a URL and a label each, from a table or a text file."""

from __future__ import annotations

import csv
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from io import StringIO
from urllib.parse import urlsplit

from outliers_bench.data.image_files import absolute, reason
from outliers_bench.errors import BenchError

_LABEL = re.compile(r"[^\s.]{1,63}")  # a part of a host's name; an IPv6 address is one
_LICENSE = re.compile("licen[cs]e")  # the British spelling as well


@dataclass(frozen=True)
class Wanted:
    """One image to collect.

    Parameters
    ----------
    url : str
        Without a fragment.
    label : str
        What it shows.
    license : str
        Under which it may be used, or where that is said; empty if nobody knows.
    page : str
        The page on which the URL was found; empty for a list's.
    """

    url: str
    label: str
    license: str = ""
    page: str = ""


def read_list(given: str, *, label: str | None, license: str | None) -> list[Wanted]:
    """Read a list of URLs.

    Parameters
    ----------
    given : str
        A `.csv` or `.tsv` table with the columns url and, if wanted, label and license; or a `.txt`
        file with a URL on each line, where lines that begin with # are passed over.
    label, license : str or None
        For rows without one of their own.

    Returns
    -------
    list of Wanted
        In the list's order; see `once`.

    Raises
    ------
    BenchError
        If the file cannot be read, has no column url, no rows, or a row without URL or label.
    """
    file = absolute(given)
    kind = file.suffix.lower()
    if kind not in (".csv", ".tsv", ".txt"):
        raise BenchError(f"urls={given}: give a file named .csv, .tsv or .txt")
    try:
        text = file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise BenchError(f"urls={given}: {reason(error)} (looked for {file})") from None
    except UnicodeDecodeError:
        raise BenchError(f"urls={given} is not UTF-8 text; save it as UTF-8") from None
    rows = _plain(text) if kind == ".txt" else _table(text, kind, given)
    try:
        wanted = [_wanted(row, cells, label, license, given) for row, cells in rows]
    except csv.Error as error:
        raise BenchError(f"urls={given} cannot be read as a table: {error}") from None
    if not wanted:
        raise BenchError(f"urls={given} is empty: there is no URL in it")
    return once(wanted, where=f"urls={given}")


def once(wanted: Iterable[Wanted], *, where: str) -> list[Wanted]:
    """Each URL once.

    Raises
    ------
    BenchError
        If a URL stands there under two labels, or two labels are one folder where letter case does
        not count.
    """
    first: dict[str, Wanted] = {}
    labels: dict[str, str] = {}
    for each in wanted:
        before = first.setdefault(each.url, each)
        if before.label != each.label:
            raise BenchError(
                f"{where}: {each.url} has two labels, {before.label!r} and {each.label!r}; "
                "give it one, or leave it out"
            )
        spelled = labels.setdefault(each.label.casefold(), each.label)
        if spelled != each.label:
            raise BenchError(
                f"{where}: the labels {spelled!r} and {each.label!r} differ in letter case only, "
                "which is one folder on some systems; spell them alike"
            )
    return list(first.values())


def one_label(text: str | None) -> str:
    """A label, however its blanks and accents are written."""
    return unicodedata.normalize("NFC", " ".join((text or "").split()))


def refused_url(url: str) -> str | None:
    """Why a URL cannot be asked for; None if it can."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        return f"is no address: {error}"
    if parts.scheme.lower() not in ("http", "https"):
        return "is no http or https address"
    if not host:
        return "names no host"
    if not all(_LABEL.fullmatch(part) for part in host.removesuffix(".").split(".")):
        return "names a host that cannot be"
    if parts.username is not None or parts.password is not None:
        return "has a user name in it"
    return None


def _plain(text: str) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip() and not line.lstrip().startswith("#"):
            yield number, {"url": line}


def _table(text: str, kind: str, given: str) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows with their numbers, counted from 1, the heading apart."""
    reader = csv.DictReader(
        StringIO(text, newline=""), delimiter="\t" if kind == ".tsv" else ",", restval=""
    )
    if reader.fieldnames is None:
        raise BenchError(f"urls={given} is empty: there is no URL in it")
    reader.fieldnames = [name.strip().lower() for name in reader.fieldnames]
    if "url" not in reader.fieldnames:
        raise BenchError(
            f"urls={given} has no column url; it has {', '.join(reader.fieldnames)}. Needed: url. "
            "Optional: label, license"
        )
    for number, row in enumerate(reader, 1):
        yield number, {name: cell for name, cell in row.items() if isinstance(cell, str)}


def _wanted(
    row: int, cells: dict[str, str], label: str | None, license: str | None, given: str
) -> Wanted:
    url = "".join(cells["url"].splitlines()).strip().partition("#")[0]
    own = one_label(cells.get("label")) or one_label(label)
    if not url:
        raise BenchError(f"urls={given}: row {row} has no url")
    if not own:
        raise BenchError(
            f"urls={given}: row {row} ({url}) has no label; fill in the column label, or give "
            "label= for all rows without one"
        )
    terms = next(
        (cell for name, cell in cells.items() if cell and _LICENSE.fullmatch(name)), license or ""
    )
    return Wanted(url, own, " ".join(terms.split()))
