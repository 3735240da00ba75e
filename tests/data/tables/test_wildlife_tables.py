"""Tables with the columns of wildlife-datasets, as its users write them."""

import io

import numpy as np
import pandas as pd
import pytest

from outliers_bench.data.labels import MissingLabels
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.tables.columns import Columns
from tests.data.sources import fails, load

ZEBRAS = """
image_id,identity,path,date,orientation,photo_quality
02dea747,z4,data/images/img-0000049.JPG,2010-06-22,Right,ok
03d076cf,z2,data/images/img-0000038.JPG,2010-06-11,Left,good
08f1ee99,unknown,data/images/img-0000030.JPG,2010-06-03,Left,good
0a3c6f52,z2,data/images/img-0000001.JPG,2010-06-02,Right,ok
1e7f5500,z4,data/images/img-0000004.JPG,2010-06-05,Left,good
"""
MACAQUES = """
image_id,identity,path,date,category
0,Alvin,MacaqueFaces/A/Alvin/Alvin_0.png,2014-03-01,Adult
1,Beth,MacaqueFaces/B/Beth/Beth_1.png,2014-03-02,Adult
2,Alvin,MacaqueFaces/A/Alvin/Alvin_2.png,2014-03-03,Adult
3,Beth,MacaqueFaces/B/Beth/Beth_3.png,2014-03-03,Adult
"""
WHALES = """
image_id,identity,path,original_split
00a,w_1,train/00a.jpg,train
00b,w_2,train/00b.jpg,train
00c,w_1,train/00c.jpg,train
00d,w_2,train/00d.jpg,train
00e,unknown,train/00e.jpg,train
100,unknown,test/100.jpg,test
"""


@pytest.fixture
def write(tmp_path):
    """Write a table with its photos, indexed or not, and return it as a source."""

    def write_table(text, kind, **options):
        frame = pd.read_csv(io.StringIO(text), dtype=str)
        for number, path in enumerate(frame["path"]):
            (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / path).write_bytes(f"photo {number}".encode())  # nothing is decoded
        file = tmp_path / f"metadata.{kind.partition(' ')[0]}"
        if kind == "parquet":
            frame.to_parquet(file)
        else:
            frame.to_csv(file, index=kind == "csv with index")
        return Manifest(path=str(file), **options)

    return write_table


KINDS = ["csv", "csv with index", "parquet"]
EXCLUDE = MissingLabels.exclude


@pytest.mark.parametrize("kind", KINDS)
def test_zebras(kind, write, tmp_path, caplog):
    fails(write(ZEBRAS, kind), tmp_path, "1 of 5 images have no label: 1 'unknown'")
    split = load(write(ZEBRAS, kind, missing_labels=EXCLUDE, train=0.0), tmp_path)
    assert split.gallery.classes == ("z2", "z4")
    assert [(item.name, item.kind) for item in split.left_out] == [
        ("data/images/img-0000030.JPG", "unlabeled")
    ]
    columns = ["image_id", "date", "orientation", "photo_quality", "time"]
    assert list(split.query.columns) == list(split.gallery.columns) == columns
    dates = [*split.query.columns["date"], *split.gallery.columns["date"]]
    assert sorted(dates) == ["2010-06-02", "2010-06-05", "2010-06-11", "2010-06-22"]
    assert "metadata" in caplog.text
    assert "label is the column identity" in caplog.text
    assert "time is the column date" in caplog.text


@pytest.mark.parametrize("kind", KINDS)
def test_macaques_are_individuals_and_not_categories(kind, write, tmp_path):
    split = load(write(MACAQUES, kind, protocol=Protocol.leave_one_out), tmp_path)
    labels = [split.gallery.classes[label] for label in split.gallery.labels]
    assert dict(zip(split.gallery.names, labels, strict=True)) == {
        "MacaqueFaces/A/Alvin/Alvin_0.png": "Alvin",
        "MacaqueFaces/A/Alvin/Alvin_2.png": "Alvin",
        "MacaqueFaces/B/Beth/Beth_1.png": "Beth",
        "MacaqueFaces/B/Beth/Beth_3.png": "Beth",
    }
    assert set(split.gallery.columns["category"]) == {"Adult"}
    columns = Columns(label="category")
    fails(write(MACAQUES, kind, columns=columns), tmp_path, "all images are of one class, 'Adult'")


@pytest.mark.parametrize("kind", KINDS)
def test_whales_of_a_competition(kind, write, tmp_path):
    split = load(write(WHALES, kind, missing_labels=EXCLUDE, train=0.0), tmp_path)
    assert len(split.left_out) == 2
    assert np.array_equal(np.bincount(split.gallery.labels), [1, 1])
    assert set(split.gallery.columns["original_split"]) == {"train"}
