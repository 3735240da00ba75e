"""Times at which photos were taken, and lengths of time, from texts."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from outliers_bench.data.labels import is_missing, normalize
from outliers_bench.errors import BenchError

_CLOCK = (
    r"(?:(?:\s*,\s*|[T_ -]\s*)(?P<h>\d{1,2})(?P<sep>[:.\-])(?P<m>\d\d)(?:(?P=sep)(?P<s>\d\d)"
    r"(?:[.,](?P<f>\d{1,9}))?)?(?:\s*(?P<half>[ap])\.?m\.?)?|[T_ -]?(?P<run>\d{4}|\d{6}|\d{9}))?"
    r"(?:\s*(?P<zone>Z|UTC|GMT|[+-]\d\d(?::?\d\d)?))?"
)
_YEAR_FIRST = re.compile(
    r"(?P<y>\d{4})(?:(?P<d1>[-:/._ ])(?P<mo>\d{1,2})(?P=d1)(?P<d>\d{1,2})|(?P<md>\d{4}))" + _CLOCK,
    re.IGNORECASE | re.ASCII,
)
_YEAR_LAST = re.compile(
    r"(?P<a>\d{1,2})(?P<d1>[-/.])(?P<b>\d{1,2})(?P=d1)(?P<y>\d{4})" + _CLOCK,
    re.IGNORECASE | re.ASCII,
)
_ZEROS = re.compile(r"[0:\-/. T]+")
_CLOCK_ONLY = re.compile(r"\d{1,2}:\d\d(?::\d\d(?:[.,]\d+)?)?(?:\s*[ap]\.?m\.?)?", re.IGNORECASE)
_GAP = re.compile(
    r"(\d+(?:\.\d+)?)\s*(?:(s|sec|seconds?)|(min|minutes?)|(h|hours?)|(d|days?))", re.IGNORECASE
)
_SECONDS = (1, 60, 3600, 86400)
Times = npt.NDArray[np.datetime64]


class NoTimeError(ValueError):
    """Text that is no time.

    Parameters
    ----------
    row : int
        Its position in the sequence of texts.
    problem : str
        The text, and why it is no time.
    """

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(problem)
        self.row = row


class ParsedTimes(NamedTuple):
    """Times, and the order of days and months if their numbers decided it."""

    values: Times
    order: str = ""


def parse_times(texts: Sequence[str]) -> ParsedTimes:
    """Parse times of one source: ISO 8601, EXIF, file names, or days and months before the year.

    Dates such as 03/04/2023 are read if other values, such as 25/04/2023, show the order, the same
    for all. Those with dots have the day first. Missing ones, as of labels, and zeros are NaT.

    Parameters
    ----------
    texts : sequence of str

    Returns
    -------
    ParsedTimes
        `values`, array of datetime64[us], shape (n,): the clock as written, with which a day is a
        day of the place; in UTC if the texts have different time zones.

    Raises
    ------
    NoTimeError
        If a text is no time, a date is ambiguous, or only some texts name a time zone.

    Examples
    --------
    >>> parse_times(["2023-06-01", "2023:06:01 12:30:05", "20230601_123005"]).values.tolist()[1]
    datetime.datetime(2023, 6, 1, 12, 30, 5)
    >>> parse_times(["03/04/2023", "25/04/2023 7:05 pm"]).order
    'days first'
    """
    rows: dict[str, int] = {}
    cleaned = list(map(normalize, texts))
    for row, text in enumerate(cleaned):
        rows.setdefault(text, row)
    matches = {text: _match(text, row) for text, row in rows.items() if not _is_missing(text)}
    order = _order({text: match for text, match in matches.items() if "a" in match}, rows)
    zones = {bool(match["zone"]): text for text, match in matches.items()}
    if len(zones) == 2:
        raise NoTimeError(
            rows[zones[False]],
            f"{zones[False]!r} has no time zone and {zones[True]!r} has one; give all or none one",
        )
    offsets = {text: _offset(match["zone"]) for text, match in matches.items()}
    if len(set(offsets.values())) == 1:
        offsets = dict.fromkeys(offsets, timedelta(0))
    found = {
        text: _to_time(text, match, rows[text], offsets[text], day_first=order != "months first")
        for text, match in matches.items()
    }
    values = np.array([found.get(text) for text in cleaned], "M8[us]")
    return ParsedTimes(values, order)


def is_clock(text: str) -> bool:
    """Check whether a text is a time of day without a date."""
    return _CLOCK_ONLY.fullmatch(text.strip()) is not None


def is_days(times: Times) -> bool:
    """Check whether no time has hours, minutes or seconds; missing ones do not count."""
    known = times[~np.isnat(times)]
    return bool((known == known.astype("M8[D]")).all())


def parse_gap(text: str, option: str) -> np.timedelta64:
    """Return a length of time such as 30s, 10min, 2h or 1d, in microseconds.

    Raises
    ------
    BenchError
        If it has no unit, is not above zero, or longer than 10,000 days.
    """
    found = _GAP.fullmatch(text.strip())
    if found is None:
        raise BenchError(
            f"{option}={text}: give a number and its unit, s, min, h or d, such as 30s, 10min, 2h "
            "or 1d"
        )
    unit = next(each for each, name in enumerate(found.groups()[1:]) if name)
    seconds = float(found[1]) * _SECONDS[unit]
    if not 0 < seconds <= 10_000 * 86400:
        raise BenchError(f"{option}={text}: give a time above 0, of at most 10000d")
    return np.timedelta64(round(seconds * 1e6), "us")


def _is_missing(text: str) -> bool:
    return is_missing(text) or _ZEROS.fullmatch(text) is not None


def _match(text: str, row: int) -> dict[str, str | None]:
    found = _YEAR_FIRST.fullmatch(text) or _YEAR_LAST.fullmatch(text)
    if found is None:
        raise NoTimeError(row, f"{text!r} is no time; write it as 2023-06-01 12:30:00")
    return found.groupdict()


def _order(ambiguous: dict[str, dict[str, str | None]], rows: dict[str, int]) -> str:
    """Return which number comes first in dates such as 03/04/2023; empty without any."""
    slashed = {text: match for text, match in ambiguous.items() if match["d1"] != "."}
    days = [text for text, match in slashed.items() if int(match["a"] or 0) > 12]
    months = [text for text, match in slashed.items() if int(match["b"] or 0) > 12]
    if days and months:
        raise NoTimeError(
            max(rows[days[0]], rows[months[0]]),
            f"{days[0]!r} has the day first and {months[0]!r} the month; write 2023-06-01",
        )
    if slashed and not days and not months:
        text = next(iter(slashed))
        raise NoTimeError(
            rows[text],
            f"{text!r} may have the day or the month first, and no other date shows which; write "
            "it as 2023-06-01",
        )
    return "days first" if days else "months first" if months else ""


def _to_time(
    text: str, match: dict[str, str | None], row: int, offset: timedelta, *, day_first: bool
) -> datetime:
    if "a" in match:
        both = (match["a"], match["b"])
        day, month = both if day_first or match["d1"] == "." else both[::-1]
    else:
        compact = match["md"] or ""
        month, day = (compact[:2], compact[2:]) if compact else (match["mo"], match["d"])
    run = match["run"] or ""
    clock = [run[:2], run[2:4], run[4:6]] if run else [match["h"], match["m"], match["s"]]
    fraction = (run[6:] or match["f"] or "").ljust(6, "0")[:6]
    try:
        hour, minute, second = (int(each or 0) for each in clock)
        if half := match["half"]:
            if not 1 <= hour <= 12:
                raise ValueError("hour must be in 1..12")  # noqa: TRY301
            hour = hour % 12 + 12 * (half.lower() == "p")
        time = datetime(int(match["y"] or 0), int(month or 0), int(day or 0))
        time = time.replace(hour=hour, minute=minute, second=second, microsecond=int(fraction))
        return time - offset
    except (ValueError, OverflowError) as error:
        raise NoTimeError(row, f"{text!r} is no time: {error}") from None


def _offset(zone: str | None) -> timedelta:
    if not zone or zone[0] not in "+-":
        return timedelta(0)
    digits = zone[1:].replace(":", "").ljust(4, "0")
    offset = timedelta(hours=int(digits[:2]), minutes=int(digits[2:]))
    return -offset if zone[0] == "-" else offset
