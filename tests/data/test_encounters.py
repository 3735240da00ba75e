"""Encounters from the times of photos, in tables and in EXIF data."""

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from outliers_bench.data import photo_times
from outliers_bench.data.encounters import make_encounters
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.data.tables.columns import Columns
from outliers_bench.errors import BenchError
from outliers_bench.types import ENCOUNTER, TIME
from tests.command_line import bench
from tests.data.exif_photos import exif, with_exif
from tests.data.sources import fails, load
from tests.data.visits import PARTS, groups_of, parts_of, table_of

START = datetime(2023, 6, 1, 12)


def test_encounters_by_hand():
    minutes = [0, 9, 19, 40, 5, None, 0, 1]
    labels = [*"aaaabaaa"]
    cameras = [*"111111", "2", ""]
    times = np.array([m if m is None else START + timedelta(minutes=m) for m in minutes], "M8[us]")
    found = make_encounters(labels, cameras, times, np.timedelta64(10, "m"))
    assert found.tolist() == [
        *["a 1 2023-06-01 12:00:00"] * 3,  # each 9 or 10 minutes after the one before
        "a 1 2023-06-01 12:40:00",
        "b 1 2023-06-01 12:05:00",
        "",
        "a 2 2023-06-01 12:00:00",
        "a 2023-06-01 12:01:00",
    ]
    assert make_encounters([], [], times[:0], np.timedelta64(1, "m")).tolist() == []


photos = st.lists(
    st.tuples(st.sampled_from("ab"), st.sampled_from("12"), st.none() | st.integers(0, 60)),
    max_size=30,
)


@given(photos, st.integers(1, 10))
def test_encounters_are_the_connected_photos(photos, gap):
    """Brute force: photos of one label and camera are linked if they are at most a gap apart."""
    labels, cameras, seconds = zip(*photos, strict=True) if photos else ((), (), ())
    times = np.array(
        [None if s is None else START + timedelta(seconds=s) for s in seconds], "M8[us]"
    )
    found = make_encounters(labels, cameras, times, np.timedelta64(gap, "s"))
    roots = list(range(len(photos)))

    def root(row):
        return row if roots[row] == row else root(roots[row])

    for one, (label, camera, second) in enumerate(photos):
        for two, other in enumerate(photos[:one]):
            near = None not in (second, other[2]) and abs(second - other[2]) <= gap
            if near and (label, camera) == other[:2]:
                roots[root(one)] = root(two)
    for one in range(len(photos)):
        assert (found[one] == "") == (seconds[one] is None)
        for two in range(one):
            if seconds[one] is not None and seconds[two] is not None:
                assert (found[one] == found[two]) == (root(one) == root(two))


def test_encounters_of_a_table_stay_together(visits, tmp_path, caplog):
    times = [START + timedelta(minutes=[0, 5, 30, 33][at % 4], days=at // 4) for at in range(24)]
    texts = [f"{time:%Y:%m:%d %H:%M:%S}" for time in times]
    texts[3] = ""
    table = table_of(visits, DateTimeOriginal=texts, camera_id=["c1", "c1", "c1", "c2"] * 6)
    source = Manifest(path=str(table), encounter_gap="10min")
    split = load(source, tmp_path)
    assert "time is the column DateTimeOriginal, camera is the column camera_id" in caplog.text
    assert (
        "table: 17 encounters of one label and one camera, each photo at most 10min after the one "
        "before; 1 of 24 photos have no time and are in none"
    ) in caplog.text
    groups = groups_of(split)
    assert groups["class_000/individual_000/0003.png"] == "~class_000/individual_000/0003.png"
    assert len(set(groups.values())) == 18
    assert all(len(parts) == 1 for parts in parts_of(split).values())
    by_site = Manifest(
        path=str(table), encounter_gap="10min", columns=Columns(site="camera_id", camera="none")
    )
    assert len(set(groups_of(load(by_site, tmp_path)).values())) == 18
    assert "17 encounters of one label and one site, each" in caplog.text
    apart = load(Manifest(path=str(table), encounter_gap="10min", group="none"), tmp_path)
    assert apart.query.groups is None
    assert ENCOUNTER in apart.query.columns
    fails(
        Manifest(path=str(table), encounter_gap="1h", columns=Columns(encounter="camera_id")),
        tmp_path,
        "table has a column encounter, and data.encounter_gap=1h makes another one",
    )
    fails(
        Manifest(path=str(table), encounter_gap="1h", columns=Columns(group="camera_id")),
        tmp_path,
        "table has groups, and data.encounter_gap=1h makes encounters; say which stay",
    )


def times_of(split):
    parts = [getattr(split, part) for part in PARTS]
    return {
        digest: time
        for part in parts
        for digest, time in zip(part.digests, part.columns[TIME].tolist(), strict=True)
    }


@pytest.fixture
def camera_photos(shared, tmp_path):
    """Photos as a camera writes them: real pictures with EXIF data, the last one without."""
    animals = shared / "data" / "caltech101_animals"
    for animal in ("ant", "beaver", "emu"):
        for at, photo in enumerate(sorted((animals / animal).iterdir())[:9]):
            content = photo.read_bytes()
            if at < 8:
                taken = START + timedelta(minutes=at % 4, days=at // 4)
                content = with_exif(content, exif(f"{taken:%Y:%m:%d %H:%M:%S}", fraction="5"))
            (tmp_path / "photos" / animal).mkdir(parents=True, exist_ok=True)
            (tmp_path / "photos" / animal / photo.name).write_bytes(content)
    return tmp_path / "photos"


def test_exif_of_real_photos(camera_photos, tmp_path, caplog, monkeypatch):
    source = ClassFolders(root=str(camera_photos), encounter_gap="90s")
    split = load(source, tmp_path)
    assert "time is DateTimeOriginal of the photos' EXIF data; 3 of 27 have none" in caplog.text
    assert "6 encounters of one label, each photo at most 90s" in caplog.text
    groups = set(groups_of(split).values())
    assert "ant 2023-06-01 12:00:00.500000" in groups
    assert len(groups) == 9
    assert all(len(parts) == 1 for parts in parts_of(split).values())
    # Times are read once, whatever the names of the files.
    monkeypatch.setattr(photo_times, "_read_time", None)
    (camera_photos / "ant").rename(camera_photos / "zebra")
    assert times_of(load(source, tmp_path)) == times_of(split)


def test_photos_without_times(visits, tmp_path):
    fails(
        ClassFolders(root=str(visits), encounter_gap="10min"),
        tmp_path,
        "visits: data.encounter_gap=10min needs times; there is no column time, and none of 24 ph",
    )
    fails(
        Synthetic(encounter_gap="10min"),
        tmp_path,
        "synthetic: .* these images are not files with E",
    )


def test_unlabeled_parts(visits, tmp_path):
    table = table_of(
        visits,
        split=["query", "gallery", "gallery", "gallery"] * 6,
        label="",
        time=[f"2023-06-{1 + at:02}" for at in range(24)],
    )
    split = load(Manifest(path=str(table), encounter_gap="1s"), tmp_path)
    assert not split.labeled
    assert split.query.columns[ENCOUNTER][0] == "2023-06-01 00:00:00"
    with pytest.raises(BenchError, match=r"of \d+ groups \(data\.group=encounter\) are in two"):
        load(Manifest(path=str(table), encounter_gap="1d"), tmp_path)


def test_a_run_writes_what_decided_its_split(camera_photos, tmp_path):
    done = bench(
        *("data=folder", f"data.root={camera_photos}", "data.encounter_gap=10min", "model=pixels"),
        *("k=[1]", "contact_sheets.captions=[time]", f"cache.dir={tmp_path / 'cache'}"),
        cwd=tmp_path,
    )
    assert done.code == 0, done.err
    assert "3 of 27 have none" in done.out + done.err
    assert "6, of 4 images each; 3 images alone; each in one part" in " ".join(done.out.split())
    (table,) = tmp_path.rglob("per_query.csv")
    frame = pd.read_csv(table).set_index("query")
    for name, row in frame.iterrows():
        animal = name.partition("/")[0]
        if isinstance(row["time"], str):
            assert row["encounter"] == row["group"]
            assert row["group"].startswith(f"{animal} {row['time'][:10]} 12:00:00")
        else:
            assert row["group"] == f"~{name}"
