"""`data=manifest`: tables of images."""

import pandas as pd
import pytest

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.labels import MissingLabels
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.splits.options import Protocol
from outliers_bench.types import same
from tests.data.sources import fails, load, manifest


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_manifest_without_split_is_split_like_folders(table, photos, tmp_path, suffix):
    split = load(manifest(table, photos, suffix), tmp_path)
    assert split.name == "table"
    assert split.train.classes == ("000", "001", "002")
    other = load(ClassFolders(root=str(photos)), tmp_path)
    for part in ("train", "query", "gallery"):
        assert set(getattr(split, part).digests) == set(getattr(other, part).digests)


def test_manifest_root_and_literal_text(table, photos, tmp_path):
    table["label"] = table["label"].replace({"000": "NA", "001": "1.0"})
    file = tmp_path / "elsewhere.csv"
    # As written by spreadsheets: with a byte order mark, and an unknown column.
    table.assign(note="é").to_csv(file, index=False, encoding="utf-8-sig")
    literal = {"path": str(file), "missing_labels": MissingLabels["class"]}
    split = load(Manifest(root=str(photos), **literal), tmp_path)
    assert split.train.classes == ("002", "1.0", "NA")
    table["path"] = [str(photos / path) for path in table["path"]]
    table.to_csv(file, index=False)
    assert load(Manifest(**literal), tmp_path).fingerprint == split.fingerprint


def test_manifest_numbers_in_parquet_become_text(table, photos, tmp_path):
    table["label"] = table["label"].astype(int)
    table["group"] = pd.array([7, None] * 15, dtype="Int64")
    split = load(manifest(table, photos, ".parquet"), tmp_path)
    assert split.train.classes == ("0", "1", "2")
    groups = [set(part.groups) for part in (split.train, split.query, split.gallery)]
    assert sum("7" in part for part in groups) == 1
    assert sum(map(len, groups)) == 16


def test_manifest_split_column(table, photos, tmp_path):
    table["split"] = ["train", "train", "query", "gallery", "gallery"] * 6
    split = load(manifest(table, photos), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (12, 6, 12)
    table.loc[table["split"] != "train", "label"] = None
    split = load(manifest(table, photos), tmp_path)
    assert not split.labeled
    assert split.train.labels is not None


def test_manifest_groups_stay_together(table, photos, tmp_path):
    table["group"] = [path.rpartition("/")[0] for path in table["path"]]
    split = load(manifest(table, photos), tmp_path)
    groups = [set(getattr(split, part).groups) for part in ("train", "query", "gallery")]
    assert sum(map(len, groups)) == 6
    one_set = load(manifest(table, photos, protocol=Protocol.leave_one_out), tmp_path)
    assert one_set.excluded == same("group")
    assert set(one_set.exclusion.counts.tolist()) == {5}  # the five photos of each folder
    table["split"] = ["query", "gallery", "gallery", "gallery", "gallery"] * 6
    fails(
        manifest(table, photos),
        tmp_path,
        r"group 'class_000/individual_000' is in query \(row 2\) and in gallery \(row 3\)",
    )


def test_manifest_missing_files_are_counted(table, photos, tmp_path):
    table.loc[3, "path"] = "gone.png"
    split = load(manifest(table, photos, max_unreadable=0.1), tmp_path)
    assert [(item.name, item.kind) for item in split.left_out] == [("gone.png", "unreadable")]
    table.loc[4:, "path"] = "not/" + table["path"]
    fails(
        manifest(table, photos, max_unreadable=0.1),
        tmp_path,
        r"27 of 30 images \(90\.0%\).*not/class_000.*; \.\.\.\)",
    )


def test_manifest_errors(table, photos, tmp_path):
    fails(Manifest(path="no/such.csv"), tmp_path, r"data\.path=no/such\.csv: there is no such file")
    fails(manifest(table[:0], photos), tmp_path, "has no rows")
    fails(
        manifest(table.rename(columns={"label": "tier"}), photos),
        tmp_path,
        "has no column label; it has path, tier. Needed: path, label. Optional: split, group",
    )
    fails(manifest(table, photos, root="no/such"), tmp_path, r"data\.root=no/such")
    fails(manifest(table, photos, train=-1.0), tmp_path, r"data\.train=-1\.0")

    invalid = table.assign(split=["train", "query", "gallery", "test", "val", "train"] * 5)
    fails(
        manifest(invalid, photos),
        tmp_path,
        "has query, gallery, test, validation, train, which does not say",
    )
    ready_made = table.assign(split=["train", "query", "gallery"] * 10)
    fails(
        manifest(ready_made, photos, protocol=Protocol.leave_one_out),
        tmp_path,
        "has a column split",
    )
    holes = table.copy()
    holes.loc[[4, 7], "label"] = None
    fails(
        manifest(holes, photos), tmp_path, r"table: 2 of 30 images have no label: 2 empty \(class_"
    )
    holes = ready_made.copy()
    holes.loc[1, "label"] = None
    fails(manifest(holes, photos), tmp_path, "1 of 30 images have no label")
    holes = table.copy()
    holes.loc[2, "path"] = None
    fails(manifest(holes, photos), tmp_path, "row 4 has no path")
    fails(
        manifest(ready_made[ready_made["split"] != "query"], photos),
        tmp_path,
        "there are no images in q",
    )
