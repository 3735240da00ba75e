"""Groups by columns, folders, patterns and days."""

from collections import defaultdict

import numpy as np
import pandas as pd
import pytest

from outliers_bench.data.encounters import texts_of
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.data.tables.columns import Columns
from outliers_bench.types import GROUP, ITSELF, same
from tests.data.boxed_photos import manifest as boxed_manifest
from tests.data.boxed_photos import write_boxed
from tests.data.sources import fails, load, manifest
from tests.data.visits import groups_of, parts_of, table_of
from tests.toys import write_images


def test_folders(visits, tmp_path):
    split = load(ClassFolders(root=str(visits), group="2"), tmp_path)
    parts = parts_of(split)
    assert set(parts) == {f"class_00{c}/individual_00{i}" for c in (0, 1) for i in range(3)}
    assert all(len(each) == 1 for each in parts.values())
    last = load(ClassFolders(root=str(visits), group="-1"), tmp_path)
    assert last.fingerprint == split.fingerprint
    above = Manifest(path=str(table_of(visits)), group="-2")
    fails(above, tmp_path, "no class has two images in two groups")
    fails(
        ClassFolders(root=str(visits), group="3"),
        tmp_path,
        r"visits: data.group=3: no path has a folder of this number, first class_000",
    )


def test_patterns_are_within_a_label(visits, tmp_path):
    first = load(ClassFolders(root=str(visits), group=r"individual_(\d+)"), tmp_path)
    assert set(parts_of(first)) == {f"class_00{c}/00{i}" for c in (0, 1) for i in range(3)}
    whole = load(ClassFolders(root=str(visits), group=r"(?:individual)_\d+"), tmp_path)
    assert "class_000/individual_001" in parts_of(whole)
    assert whole.fingerprint == first.fingerprint
    fails(
        ClassFolders(root=str(visits), group="(x)"), tmp_path, r"data.group=\(x\) matches no path"
    )


def test_columns(visits, tmp_path):
    seen = ["a", "a", "", "b"] * 6
    table = table_of(visits, visit=seen, day=["x"] * 24)
    split = load(Manifest(path=str(table), group="visit"), tmp_path)
    groups = groups_of(split)
    assert sorted(groups.values()) == sorted(
        value or f"~{name}" for name, value in zip(sorted(groups), seen, strict=True)
    )
    assert all(len(parts) == 1 for parts in parts_of(split).values())
    fails(Manifest(path=str(table), group="vist"), tmp_path, "data.group=vist: did you mean visit?")
    none = load(Manifest(path=str(table), columns=Columns(group="visit"), group="none"), tmp_path)
    assert none.query.groups is None
    fails(
        ClassFolders(root=str(visits), group="visit"),
        tmp_path,
        "data.group=visit: there are no columns; a number is a folder of the path, and a regular",
    )


def test_values_of_columns_are_texts():
    """Missing ones are none of them, whatever the type of the column."""
    times = np.array(["2023-06-01T12:00", "NaT"], "M8[ns]")
    assert texts_of(times) == ["2023-06-01 12:00:00", ""]
    assert texts_of(np.array([3.0, np.nan, 0.5, np.inf])) == ["3", "", "0.5", "inf"]
    assert texts_of(np.array([3, -1])) == ["3", ""]
    assert texts_of(np.array(["a ", None, "NA", ("b", 1)], object)) == ["a", "", "", "('b', 1)"]


@pytest.mark.parametrize(
    ("group", "message"),
    [
        ("", "data.group= is empty; give a column"),
        ("0", "data.group=0: give 1 for the first folder"),
        ("(", r"data.group=\( is no regular expression: missing \)"),
    ],
)
def test_options_are_checked_first(group, message, tmp_path):
    fails(ClassFolders(root="nowhere", group=group), tmp_path, message)
    fails(PreparedFolders(root="nowhere", encounter_gap="10"), tmp_path, "data.encounter_gap=10: ")


def test_a_group_as_a_whole_is_left_out(visits, tmp_path):
    source = ClassFolders(root=str(visits), group="2", protocol=Protocol.leave_one_out)
    split = load(source, tmp_path)
    assert split.excluded == same(GROUP)
    keys = split.exclusion.mask(slice(None), np.arange(24)[None])
    groups = np.array(split.query.groups)
    np.testing.assert_array_equal(keys, groups[:, None] == groups)
    single = load(ClassFolders(root=str(visits), protocol=Protocol.leave_one_out), tmp_path)
    assert single.excluded == ITSELF


def test_ready_made_parts_are_checked(visits, tmp_path):
    table = table_of(visits, split=["train", "query", "gallery", "gallery"] * 6, visit=range(24))
    assert load(Manifest(path=str(table), group="visit"), tmp_path).query.groups is not None
    fails(
        Manifest(path=str(table), group="2"),
        tmp_path,
        r"table: 6 of 6 groups \(data.group=2\) are in two parts of this ready-made split, first "
        r"'class_000/individual_000': class_000/individual_000/0000.png and class_000/indi.*; move",
    )
    prepared = tmp_path / "prepared"
    for part in ("query", "gallery"):
        write_images(Synthetic(classes=2, individuals=2, images=1, size=16), prepared / part)
    fails(
        PreparedFolders(root=str(prepared), group="2"),
        tmp_path,
        r"4 of 4 groups .* first 'class_000/individual_000': query/class_000/individual_000/0000",
    )
    accepted = load(PreparedFolders(root=str(prepared), group="none"), tmp_path)
    assert accepted.query.groups is None
    fails(
        ClassFolders(root=str(prepared), train_folder="query", group="3"),
        tmp_path,
        r"4 of 4 groups .* first '/class_000/individual_000'",
    )


def test_parts_of_tables_with_flags_and_test_images(visits, tmp_path):
    both = table_of(visits, is_query=True, is_gallery=True)
    split = load(Manifest(path=str(both), group="2"), tmp_path)
    assert split.excluded == same(GROUP)
    assert sorted(split.exclusion.counts.tolist()) == [4] * 24
    test = table_of(visits, split=["train", "test", "test", "test"] * 6)
    fails(Manifest(path=str(test), group="2"), tmp_path, "6 of 6 groups .* are in two parts")
    whole = table_of(visits, split=[*["train"] * 8, *["test"] * 16])
    assert len(set(load(Manifest(path=str(whole), group="-1"), tmp_path).query.groups or ())) == 2


def test_days(visits, tmp_path, caplog):
    days = [f"2023-06-{1 + at % 2:02}" for at in range(24)]
    table = table_of(visits, date=days)
    split = load(Manifest(path=str(table), group="date"), tmp_path)
    assert set(parts_of(split)) == {f"class_00{c}/2023-06-0{d}" for c in (0, 1) for d in (1, 2)}
    made = load(Manifest(path=str(table), encounter_gap="10min"), tmp_path)
    assert made.fingerprint == split.fingerprint
    assert "times are days without hours, so the photos of one day are one encounter" in caplog.text
    years = table_of(visits, date=["2012", "2013"] * 12)
    by_text = load(Manifest(path=str(years), group="date"), tmp_path)
    assert set(parts_of(by_text)) == {"2012", "2013"}
    assert "the column date, row 2: '2012' is no time" in caplog.text
    fails(
        Manifest(path=str(years), encounter_gap="1d"), tmp_path, "the column date, row 2: '2012' "
    )


def test_the_group_of_a_duplicate(visits, tmp_path):
    """The one of the first group stays, whatever its name."""
    double = visits / "class_000" / "individual_000" / "z.png"
    double.write_bytes((visits / "class_000" / "individual_001" / "0000.png").read_bytes())
    split = load(ClassFolders(root=str(visits), group="2"), tmp_path)
    assert [item.name for item in split.left_out] == ["class_000/individual_001/0000.png"]


def test_defaults_change_nothing(visits, tmp_path):
    plain = load(ClassFolders(root=str(visits)), tmp_path)
    assert plain.query.columns == {}
    assert plain.fingerprint == load(manifest_of(visits), tmp_path).fingerprint


def manifest_of(visits):
    frame = pd.read_csv(table_of(visits, seq_id="s", location="here", date="2023-06-01"))
    return manifest(frame, visits)


@pytest.mark.parametrize(
    ("options", "n_groups"),
    [
        ({"encounter_gap": "10min"}, 4),
        ({"encounter_gap": "10min", "split_by": "encounter"}, 4),
        ({"group": "date"}, 1),
        ({"group": r"(\d)\.png$"}, 6),
        ({"group": "none"}, 6),
        ({"group": "visit"}, 2),
    ],
)
def test_crops_of_a_photo_stay_together(options, n_groups, tmp_path):
    table = write_boxed(tmp_path)
    hours = [12, 12, 12, 12, 13, 13, 14, 14, 14, 14, 15, 15]
    table["time"] = [f"2023-06-01 {hour}:00" for hour in hours]
    table["visit"] = ["a", "", "", "a", "", "a", *[""] * 6]  # the first three photos
    source = boxed_manifest(table, tmp_path, train=0, **options)
    if n_groups == 1:
        fails(source, tmp_path, "in two groups")
        return
    split = load(source, tmp_path)
    groups = groups_of(split)
    photos = defaultdict(set)
    for name, group in groups.items():
        photos[name.partition("#")[0]].add(group)
    assert len(photos) == 6
    assert all(len(each) == 1 for each in photos.values())
    assert all(len(parts) == 1 for parts in parts_of(split).values())
    expected = 6 if n_groups == 6 else 4
    assert len(set(groups.values())) == expected


def test_groups_of_crops_and_encounters(tmp_path):
    table = write_boxed(tmp_path).assign(time="2023-06-01 12:00", group=["a"] * 4 + ["b"] * 8)
    source = boxed_manifest(table, tmp_path, encounter_gap="10min")
    fails(source, tmp_path, "has groups, and data.encounter_gap=10min makes encounters")


def test_crops_of_a_photo_do_not_join_groups_that_are_left_out(tmp_path):
    table = write_boxed(tmp_path).assign(visit=["a", "b", "b", "c", *[""] * 8])
    options = {"protocol": Protocol.leave_one_out, "group": "visit"}
    split = load(boxed_manifest(table, tmp_path, **options), tmp_path)
    groups = groups_of(split)
    assert set(groups.values()) >= {"a", "b", "c"}
    # The crop itself with the other one of its photo, and for the two of visit b one more each.
    assert sorted(split.exclusion.counts.tolist()) == [2] * 10 + [3] * 2
