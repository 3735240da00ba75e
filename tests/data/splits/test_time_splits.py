"""Splits by time: at dates, or for each individual by its days."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.splits.by_time import parse_date
from outliers_bench.data.splits.by_value import MissingValues
from outliers_bench.data.splits.options import Setting
from outliers_bench.errors import BenchError
from tests.data.exif_photos import exif
from tests.data.sources import load
from tests.data.split_cases import PARTS, images_of, rows_of, split_images

# Two individuals, a photo each month of 2023, at noon.
MONTHS = [f"2023-{month:02d}-15T12:00" for month in range(1, 13)]
YEAR = images_of([0] * 12 + [1] * 12, time=MONTHS * 2)


def by_time(images, **options):
    return split_images(images, split_by="time", **options)


def months_of(split):
    """Return the months of the photos of both individuals, in each part."""
    rows = rows_of(split)
    assert all(
        {row % 12 for row in part if row < 12} == {row % 12 for row in part} for part in rows
    )
    return [sorted({row % 12 + 1 for row in part}) for part in rows]


def test_dates_decide_the_parts():
    split = by_time(YEAR, train_until="2023-05", gallery_until="2023-09-15T12:00")
    # A photo taken at the date itself is after it.
    assert months_of(split) == [[1, 2, 3, 4], [9, 10, 11, 12], [5, 6, 7, 8]]
    assert split.parts_from == (
        "by time: train 2023-01-15 to 2023-04-15, gallery 2023-05-15 to 2023-08-15, query "
        "2023-09-15 to 2023-12-15"
    )


def test_shares_decide_where_there_is_no_date():
    assert months_of(by_time(YEAR, train=0.5, query=0.5)) == [
        [1, 2, 3, 4, 5, 6],
        [10, 11, 12],
        [7, 8, 9],
    ]
    assert months_of(by_time(YEAR, train_until="2023-03", query=0.3)) == [
        [1, 2],
        [10, 11, 12],
        [3, 4, 5, 6, 7, 8, 9],
    ]
    assert months_of(by_time(YEAR, gallery_until="2023-09", train=0.25)) == [
        [1, 2],
        [9, 10, 11, 12],
        [3, 4, 5, 6, 7, 8],
    ]
    assert months_of(by_time(YEAR, gallery_until="2023-09", train=0))[0] == []


def test_individuals_that_are_new_after_the_date_have_no_match():
    images = images_of([0, 0, 1, 1, 2], time=[*MONTHS[:4], MONTHS[11]])
    split = by_time(images, gallery_until="2023-04", train=0)
    assert rows_of(split) == ([], [3, 4], [0, 1, 2])


def test_times_of_exif_data_and_of_names(tmp_path):
    pixels = np.random.default_rng(0)
    for animal in ("ant", "bee"):
        (tmp_path / "photos" / animal).mkdir(parents=True)
        for number in range(4):
            taken = datetime(2023, 1 + number, 1)
            image = Image.fromarray(pixels.integers(0, 256, (9, 9, 3), dtype=np.uint8))
            data = exif(f"{taken:%Y:%m:%d %H:%M:%S}")
            file = tmp_path / "photos" / animal / f"{taken:%Y%m%d}_{3 - number}.jpg"
            image.save(file, exif=data)
    source = ClassFolders(root=str(tmp_path / "photos"), split_by="time", train=0, query=0.25)
    split = load(source, tmp_path)
    assert split.query.names == ("ant/20230401_0.jpg", "bee/20230401_0.jpg")
    assert len(split.gallery) == 6
    # The last digit instead, as the year: the order is the other way around.
    pattern = r"(?P<label>\w+)/20230(?P<month>\d)01_(?P<time>\d)"
    files = sorted((tmp_path / "photos").rglob("*.jpg"))
    for file in files:
        file.rename(file.with_name(f"{file.stem}023-01-01.jpg"))
    source = replace(source, label_pattern=pattern[:-1] + "[-0-9]+)")
    split = load(source, tmp_path)
    assert {name[:16] for name in split.query.names} == {"ant/20230101_302", "bee/20230101_302"}


@st.composite
def individuals(draw):
    """Individuals with photos on some of 12 days, some of them in groups within the individual."""
    photos = draw(
        st.lists(st.tuples(st.integers(0, 3), st.integers(0, 11), st.integers(0, 5)), min_size=6)
    )
    labels, days, groups = (list(values) for values in zip(*photos, strict=True))
    hours = draw(st.lists(st.integers(0, 23), min_size=len(days), max_size=len(days)))
    times = [datetime(2023, 1, 1 + day, hour) for day, hour in zip(days, hours, strict=True)]
    group = [
        f"{label}/{group}" if group else f"alone {row}"
        for row, (label, group) in enumerate(zip(labels, groups, strict=True))
    ]
    columns = {"time": times} | ({"group": group} if draw(st.booleans()) else {})
    return images_of(labels, **columns)


@settings(max_examples=150, deadline=None)
@given(individuals(), st.floats(0, 0.9), st.floats(0.1, 0.9))
def test_queries_are_later_and_days_and_groups_stay_together(images, train, query):
    try:
        split = by_time(images, train=train, query=query)
    except BenchError as error:
        known = ("no class has two images of two days", "are of one class")
        assert any(message in str(error) for message in known), error  # noqa: PT017
        return
    parts = [getattr(split, part) for part in ("train", "gallery", "query")]
    for label in range(len(images.classes)):
        days = [part.columns["time"][part.labels == label].astype("M8[D]") for part in parts]
        for earlier, later in ((0, 1), (1, 2), (0, 2)):
            if len(days[earlier]) and len(days[later]):
                assert days[earlier].max() < days[later].min()
        assert not len(days[2]) or len(days[1]), "every query has an earlier photo in the gallery"
    if images.groups:
        in_parts = [set(part.groups) for part in parts]
        assert sum(map(len, in_parts)) == len(set().union(*in_parts))


def test_a_group_has_the_time_of_its_first_photo():
    # A night of photos with the date in it, and others before and after.
    times = ["2023-05-30", "2023-05-31T23:59", "2023-06-01T00:01", "2023-06-02"]
    images = images_of([0] * 4 + [1] * 4, time=times * 2, group=list("abbcdeef"))
    split = by_time(images, gallery_until="2023-06-01", train=0)
    assert rows_of(split) == ([], [3, 7], [0, 1, 2, 4, 5, 6])


def test_the_split_depends_neither_on_the_seed_nor_on_the_order():
    shuffled = YEAR.take(np.random.default_rng(0).permutation(24))
    assert rows_of(by_time(YEAR)) == rows_of(by_time(shuffled, seed=1))


def test_unknown_individuals_by_time():
    images = images_of(np.repeat(np.arange(5), 12).tolist(), time=MONTHS * 5)
    split = by_time(images, setting=Setting.open_set, train=0.5)
    known = set(split.gallery.labels.tolist())
    (unknown,) = set(split.query.labels.tolist()) - known
    assert sum(split.query.labels == unknown) == 12, "without a date, all of its photos are queries"
    # At a date, its earlier photos are in no part.
    split = by_time(images, setting=Setting.open_set, train=0, gallery_until="2023-09")
    (unknown,) = set(split.query.labels.tolist()) - set(split.gallery.labels.tolist())
    assert sum(split.query.labels == unknown) == 4
    assert [int(item.name) // 12 for item in split.left_out] == [unknown] * 8
    assert {item.detail for item in split.left_out} == {
        "its part by time contradicts data.setting=open_set"
    }


def test_disjoint_individuals_at_dates():
    images = images_of(np.repeat(np.arange(6), 12).tolist(), time=MONTHS * 6)
    dates = {"train_until": "2023-05", "gallery_until": "2023-09"}
    split = by_time(images, setting=Setting.disjoint_set, train=0.5, **dates)
    of_train = set(split.train.labels.tolist())
    assert len(of_train) == 3
    assert {part: len(getattr(split, part)) for part in PARTS} == {
        "train": 3 * 4,
        "query": 3 * 4,
        "gallery": 3 * 4,
    }
    assert not of_train & {*split.query.labels.tolist(), *split.gallery.labels.tolist()}


def test_photos_without_time():
    times = [*MONTHS[:10], "NaT", "NaT"]
    images = images_of([0] * 12 + [1] * 12, time=times * 2)
    with pytest.raises(BenchError, match=r"4 of 24 images have no time \(10, 11, 22, \.\.\.\)"):
        by_time(images)
    split = by_time(images, missing_values=MissingValues.exclude)
    assert [(item.name, item.kind, item.detail) for item in split.left_out] == [
        (name, "missing_value", "no time") for name in ("10", "11", "22", "23")
    ]


def test_times_that_are_missing_or_are_no_times():
    with pytest.raises(BenchError, match=r"data.split_by=time: the columns are camera; give one"):
        by_time(images_of([0, 1], camera=["a", "b"]))
    images = images_of([0, 1], clock=["12:00", "13:00"])
    times = images_of([0, 1], time=MONTHS[:2])
    texts = replace(times, columns={"time": images.columns["clock"]})
    with pytest.raises(BenchError, match="needs dates and times in the column time, not object"):
        by_time(texts)


def test_dates_that_leave_a_part_empty():
    taken = "they were taken from 2023-01-15T12:00:00 to 2023-12-15T12:00:00"
    for options, part in (
        ({"train_until": "2023"}, "train"),
        ({"gallery_until": "2024"}, "query"),
        ({"gallery_until": "2023-01-01"}, "gallery"),
        ({"train_until": "2023-06", "gallery_until": "2023-06-05"}, "gallery"),
    ):
        with pytest.raises(BenchError, match=f"leaves no images in {part}; {taken}"):
            by_time(YEAR, **options)


def test_dates_beyond_those_in_nanoseconds():
    nanoseconds = replace(YEAR, columns={"time": YEAR.columns["time"].astype("M8[ns]")})
    with pytest.raises(BenchError, match="gallery_until=9999 leaves no images in query"):
        by_time(nanoseconds, gallery_until="9999")
    with pytest.raises(BenchError, match="train_until=1500 leaves no images in train"):
        by_time(nanoseconds, train_until="1500")


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("2023", "2023-01-01T00:00:00"),
        ("2023-06", "2023-06-01T00:00:00"),
        ("2023-06-01", "2023-06-01T00:00:00"),
        (" 2023-06-01 12:30", "2023-06-01T12:30:00"),
        ("2023-06-01T12:30:05", "2023-06-01T12:30:05"),
    ],
)
def test_dates(text, moment):
    assert str(parse_date(text, "data.train_until")) == moment


@pytest.mark.parametrize("text", ["", "today", "NaT", "06/01/2023", "2023-13", "2023-02-30", "23"])
def test_texts_that_are_no_date(text):
    with pytest.raises(BenchError, match=r"data.train_until=.*: give a date as in 2023-06-01"):
        parse_date(text, "data.train_until")
