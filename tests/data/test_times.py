"""Times and lengths of time from texts."""

from datetime import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outliers_bench.data.times import NoTimeError, is_clock, is_days, parse_gap, parse_times
from outliers_bench.errors import BenchError

NOON = datetime(2023, 6, 1, 12, 30, 5)


@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("2023-06-01T12:30:05", NOON),
        ("2023-06-01 12:30:05.250", NOON.replace(microsecond=250_000)),
        ("2023:06:01 12:30:05", NOON),  # EXIF
        ("2023/6/1 12:30", NOON.replace(second=0)),
        ("2023.06.01", datetime(2023, 6, 1)),
        ("2023_06_01_12-30-05", NOON),
        ("20230601", datetime(2023, 6, 1)),
        ("20230601_123005", NOON),  # IMG_20230601_123005.jpg
        ("20230601_123005250", NOON.replace(microsecond=250_000)),
        ("20230601T1230Z", NOON.replace(second=0)),
        ("2023-06-01T12:30:05Z", NOON),
        ("2023-06-01T12:30:05+02:00", NOON),
        ("2023-06-01 12:30-07", NOON.replace(second=0)),
        ("2023-06-01 12:30:05 PM", NOON),
        ("1.6.2023 12:30:05", NOON),
        ("01.06.2023, 12:30:05", NOON),
        ("25/06/2023 12:05 a.m.", datetime(2023, 6, 25, 0, 5)),
        ("6/25/2023 1:05 PM", datetime(2023, 6, 25, 13, 5)),
        ("0000:00:00 00:00:00", None),
        ("NaT", None),
        ("unknown", None),
        ("", None),
    ],
)
def test_formats(text, time):
    assert parse_times([text]).values.tolist() == [time]


@pytest.mark.parametrize(
    ("texts", "row", "problem"),
    [
        (["2023-06-01", "June"], 1, "'June' is no time; write it as 2023-06-01 12:30:00"),
        (["2012"], 0, "no time"),
        (["1685620800"], 0, "no time"),
        (["1/6/23"], 0, "no time"),
        (["2023-13-01"], 0, "'2023-13-01' is no time: month must be in 1..12"),
        (["2023-06-31"], 0, "day is out of range|day .* must be in range"),
        (["2023-06-01 13:00 pm"], 0, "hour must be in 1..12"),
        (["", "03/04/2023", "1/1/2023"], 1, "'03/04/2023' may have the day or the month first"),
        (["13/04/2023", "04/13/2023"], 1, "'13/04/2023' has the day first and '04/13/2023' the m"),
        (["2023-06-01", "2023-06-01T12:00Z"], 0, "no time zone and '2023-06-01T12:00Z' has one"),
    ],
)
def test_what_is_no_time_is_refused(texts, row, problem):
    with pytest.raises(NoTimeError, match=problem) as error:
        parse_times(texts)
    assert error.value.row == row


def test_time_zones():
    # A night in Brisbane is two days in Greenwich.
    night = ["2023-06-01T08:00:00+10:00", "2023-06-01T22:00:00+1000"]
    assert is_days(parse_times(["2023-06-01T00:00:00+10:00"]).values)
    assert len(set(parse_times(night).values.astype("M8[D]"))) == 1
    times = ["2023-06-01T14:30:05+02:00", "2023-06-01T05:00:05-0730", "2023-06-01T12:30:05Z", ""]
    assert parse_times(times).values.tolist() == [NOON, NOON, NOON, None]
    with pytest.raises(NoTimeError, match="no time"):
        parse_times(["0001-01-01T00:00+02:00", "2023-06-01T12:30Z"])


def test_one_date_shows_the_order_of_all():
    assert parse_times(["03/04/2023", "25/04/2023"]).values.astype("M8[D]").astype(
        str
    ).tolist() == [
        "2023-04-03",
        "2023-04-25",
    ]
    times, order = parse_times(["03/04/2023", "04/25/2023"])
    assert times.astype("M8[D]").astype(str).tolist() == ["2023-03-04", "2023-04-25"]
    assert order == "months first"


@given(st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)))
def test_iso_and_exif_texts_are_read_back(time):
    texts = [time.isoformat(), time.isoformat(" "), f"{time:%Y:%m:%d %H:%M:%S.%f}"]
    assert parse_times(texts).values.tolist() == [time] * 3


def test_days():
    assert is_days(parse_times(["2023-06-01", "", "20230602"]).values)
    assert not is_days(parse_times(["2023-06-01", "2023-06-01 00:00:01"]).values)
    assert is_clock("7:05 pm")
    assert is_clock("12:30:05.5")
    assert not is_clock("2023-06-01")


def test_lengths_of_time():
    for text, seconds in {
        "30s": 30,
        "10min": 600,
        "1.5 h": 5400,
        "2 hours": 7200,
        "1d": 86400,
        "0.5s": 0.5,
    }.items():
        assert parse_gap(text, "o") == np.timedelta64(int(seconds * 1e6), "us")
    for text in ("10", "10m", "", "min", "-1h", "1e3s"):
        with pytest.raises(
            BenchError, match=rf"^data\.x={text}: give a number and its unit, s, mi"
        ):
            parse_gap(text, "data.x")
    for text in ("0s", "20000d"):
        with pytest.raises(BenchError, match="give a time above 0, of at most 10000d"):
            parse_gap(text, "data.x")
