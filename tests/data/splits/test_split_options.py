"""Options of splits that are out of range or exclude each other: one line before the work."""

import pandas as pd
import pytest

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.named.arrays import Cifar10
from outliers_bench.data.named.source import Parts
from outliers_bench.data.splits.by_value import MissingValues
from outliers_bench.data.splits.options import Protocol, Setting, SplitOptions
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from tests.data.sources import fails, load, manifest
from tests.toys import write_images

OPEN, DISJOINT = Setting.open_set, Setting.disjoint_set
LEAVE_ONE_OUT = Protocol.leave_one_out
WRONG = {
    "data.unknown=0.3 is the share .* it needs data.setting=open_set": {"unknown": 0.3},
    "data.unknown=0: .* above 0 and below 1": {"unknown": 0, "setting": OPEN},
    "data.unknown=1: .* above 0 and below 1": {"unknown": 1, "setting": OPEN},
    "disjoint_set gives train classes of its own, and data.train=0": {
        "setting": DISJOINT,
        "train": 0,
    },
    "data.split_by is empty; give random, time": {"split_by": " "},
    "data.train_until=2023 is for a split by time; add data.split_by=time": {"train_until": "2023"},
    "data.gallery_until=2023 is for a split by time": {
        "gallery_until": "2023",
        "split_by": "camera",
    },
    "data.gallery_until=soon: give a date": {"gallery_until": "soon", "split_by": "time"},
    "data.gallery_until=2023 is not after data.train_until=2023-01-01": {
        "split_by": "time",
        "train_until": "2023-01-01",
        "gallery_until": "2023",
    },
    "data.missing_values=exclude is for the column of data.split_by": {
        "missing_values": MissingValues.exclude
    },
    "data.missing_values=single with data.split_by=time": {
        "missing_values": MissingValues.single,
        "split_by": "time",
    },
    "leave_one_out has no parts; omit data.setting=open_set": {
        "protocol": LEAVE_ONE_OUT,
        "setting": OPEN,
    },
    "leave_one_out has no parts; omit data.split_by=camera": {
        "protocol": LEAVE_ONE_OUT,
        "split_by": "camera",
    },
}


@pytest.mark.parametrize(("message", "options"), WRONG.items(), ids=WRONG)
def test_options_that_exclude_each_other(message, options):
    with pytest.raises(BenchError, match=message):
        SplitOptions(**options).check_split()
    with pytest.raises(BenchError, match=message):
        Synthetic(**options).check()


@pytest.mark.parametrize(
    ("options", "given"),
    [
        ({"setting": OPEN}, "setting=open_set"),
        ({"split_by": "time", "train_until": "2023"}, "train_until=2023"),
    ],
)
def test_options_that_contradict_a_train_part(options, given, tmp_path):
    advice = f"omit data.{given}, which decides about parts"
    with pytest.raises(BenchError, match=f"data.parts=official has a train part; {advice}"):
        Cifar10(parts=Parts.official, **options).check()
    with pytest.raises(BenchError, match=f"data.train_folder=a is the train part; {advice}"):
        ClassFolders(root=str(tmp_path), train_folder="a", **options).check()


@pytest.mark.parametrize("options", [{"setting": OPEN}, {"split_by": "camera"}])
def test_a_table_with_parts_refuses_options(options, tmp_path):
    photos = write_images(Synthetic(classes=2, individuals=1, images=3, size=12), tmp_path)
    table = pd.DataFrame(
        {
            "path": [str(file.relative_to(tmp_path)) for file in photos],
            "label": [file.parts[-3] for file in photos],
            "split": ["train", "query", "gallery"] * 2,
            "camera": ["a", "b", "c"] * 2,
        }
    )
    given = r"has a column split \(data.columns.split=none ignores it\); omit data\."
    fails(manifest(table, tmp_path, **options), tmp_path, given)
    # Test images are split into query and gallery, next to the train part.
    table["split"] = ["train", "test", "test"] * 2
    source = manifest(table, tmp_path, **options)
    if "setting" in options:
        fails(source, tmp_path, given)
    else:
        split = load(source, tmp_path)
        assert len(split.train) == 2
        assert set(split.query.columns["camera"]) != set(split.gallery.columns["camera"])
