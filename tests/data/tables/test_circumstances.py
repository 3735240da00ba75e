"""Columns of tables that say when, where and in which encounter a photo was taken."""

from datetime import datetime, time

import numpy as np
import pandas as pd
import pytest

from outliers_bench.data.tables.columns import Columns, find_circumstances
from outliers_bench.data.tables.standard import standardize
from outliers_bench.errors import BenchError
from outliers_bench.types import CAMERA, ENCOUNTER, SITE, TIME
from tests.data.annotated_photos import coco, source, write_photos
from tests.data.sources import load

NOON = datetime(2023, 6, 1, 12)


def columns_of(given=None, *, needs_time=False, **columns):
    """The standard columns of a table of two photos."""
    frame = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "label": ["x", "y"], **columns})
    frame.index = pd.RangeIndex(2, 4)
    found = standardize(frame, given or Columns(), "t.csv", needs_time=needs_time)
    return {name: found[name].tolist() for name in found.columns if name not in ("path", "label")}


@pytest.mark.parametrize(
    ("names", "found"),
    [
        # wildlife-datasets, the Caltech camera traps, Camtrap DP, and exiftool
        ("image_id identity path date encounter_name", {TIME: "date", ENCOUNTER: "encounter_name"}),
        (
            "file_name category_id datetime location seq_id frame_num",
            {TIME: "datetime", SITE: "location", ENCOUNTER: "seq_id"},
        ),
        (
            "filePath scientificName deploymentID eventID timestamp",
            {TIME: "timestamp", SITE: "deploymentID", ENCOUNTER: "eventID"},
        ),
        ("SourceFile FileModifyDate CreateDate DateTimeOriginal", {TIME: "DateTimeOriginal"}),
        ("path label Station Camera Date Time", {TIME: "Time", CAMERA: "Camera", SITE: "Station"}),
        # The number of a photo in its sequence or burst, and the model of a camera, are no such.
        ("path label sequence burst event camera_model year", {}),
    ],
)
def test_recognized_names(names, found):
    assert find_circumstances(names.split(), Columns(), "t.csv") == found


def test_columns_are_converted_and_those_of_the_user_stay(caplog):
    columns = columns_of(
        date_captured=["2023-06-01T12:00:00", "NA"],
        cam_id=[1.0, np.nan],
        station=["North ", "unknown"],
    )
    assert columns == {
        "date_captured": ["2023-06-01T12:00:00", "NA"],
        "cam_id": [1.0, pytest.approx(np.nan, nan_ok=True)],
        "station": ["North ", "unknown"],
        TIME: [pd.Timestamp(NOON), pd.NaT],
        CAMERA: ["1", ""],
        SITE: ["North", ""],
    }
    assert (
        "t.csv: time is the column date_captured, camera is the column cam_id, site is the column "
        "station"
    ) in caplog.text


def test_types_of_parquet():
    times = pd.to_datetime(["2023-06-01T14:00+02:00", None]).to_series().reset_index(drop=True)
    columns = columns_of(timestamp=times.tolist(), camera=pd.array([7, None], "Int64"))
    assert columns[TIME] == [pd.Timestamp("2023-06-01T14:00"), pd.NaT]
    assert columns[CAMERA] == ["7", ""]
    zone = pd.to_datetime(["2023-01-01T11:00Z", "2023-06-01T12:00Z"]).tz_convert("Europe/Paris")
    assert columns_of(timestamp=zone)[TIME][1] == pd.Timestamp(NOON)  # winter and summer: in UTC


def test_day_and_hour_in_two_columns(caplog):
    columns = columns_of(Date=["1.6.2023", "2.6.2023"], Time=["12:00", ""])
    assert columns[TIME] == [pd.Timestamp(NOON), pd.NaT]
    assert "t.csv: time is the columns Date and Time" in caplog.text
    for days in (pd.to_datetime(["2023-06-01", "2023-06-02"]), ["2023-06-01 00:00:00", ""]):
        sheet = columns_of(Date=days, Time=[time(12), None])
        assert sheet[TIME] == [pd.Timestamp(NOON), pd.NaT]
    alone = columns_of(Time=["12:00", "13:00"])
    assert alone == {"Time": ["12:00", "13:00"]}
    assert "t.csv: the column Time, row 2: '12:00' is no time; write it as 2023-06" in caplog.text


def test_the_order_of_days_and_months_is_reported(caplog):
    columns = columns_of(date=["03/04/2023", "25/04/2023"])
    assert columns[TIME][0] == pd.Timestamp("2023-04-03")
    assert "t.csv: the column date has days first" in caplog.text


def test_what_is_no_time_is_an_error_only_where_times_are_needed(caplog):
    texts = {"time": ["2023-06-01", "03/04/2023"]}
    message = r"t\.csv: the column time, row 3: '03/04/2023' may have the day or the month first"
    assert columns_of(**texts) == {"other_time": texts["time"]}
    assert "data.columns.time=none ignores it" in caplog.text
    for options in ({"needs_time": True}, {"given": Columns(time="time")}):
        with pytest.raises(BenchError, match=message):
            columns_of(**options, **texts)


def test_given_columns():
    columns = columns_of(
        Columns(time="taken", camera="none", encounter="visit"),
        **{"taken": ["2023-06-01 12:00", ""], "time": ["x", "y"], "camera": [1, 2]},
        visit=["v1", "-"],
        encounter=["old", "old"],
    )
    assert columns == {
        "taken": ["2023-06-01 12:00", ""],
        "other_time": ["x", "y"],
        "other_camera": [1, 2],
        "visit": ["v1", "-"],
        "other_encounter": ["old", "old"],
        TIME: [pd.Timestamp(NOON), pd.NaT],
        ENCOUNTER: ["v1", ""],
    }
    with pytest.raises(BenchError, match=r"data\.columns\.site=plce: did you mean place\?"):
        columns_of(Columns(site="plce"), place=["a", "b"])


def test_coco_annotations(tmp_path):
    content = coco()
    for number, image in enumerate(content["images"]):
        image.update(seq_id=f"s{number // 2}", date_captured=f"2023:06:0{number + 1} 12:00:00")
    images = load(source(content, write_photos(tmp_path), group="encounter"), tmp_path).gallery
    assert set(images.columns[SITE]) == {"river"}
    assert set(images.columns[ENCOUNTER]) == set(images.groups) <= {"s0", "s1", "s2"}
    assert images.columns[TIME].dtype.kind == "M"
    assert images.columns[TIME].min() >= np.datetime64(NOON)
