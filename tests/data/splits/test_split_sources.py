"""Options of splits in other sources: tables in memory, named sets, near duplicates as groups."""

from dataclasses import replace

import numpy as np
import pandas as pd

from outliers_bench.data.in_memory import InMemory, Vectors
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.named.folders import Caltech101
from outliers_bench.data.splits.options import Setting
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.leakage.policy import group_near_duplicates
from tests.data.sources import load
from tests.data.split_cases import PARTS, split_images
from tests.leakage.leaking_splits import images_with_near_duplicates
from tests.toys import write_images


def test_vectors_in_memory_by_time_and_by_camera(tmp_path):
    frame = pd.DataFrame(
        {
            "label": np.repeat(["a", "b"], 6),
            "time": pd.date_range("2023-01-31", periods=6, freq="ME").tolist() * 2,
            "camera": list("xyzxyz") * 2,
        }
    )
    vectors = Vectors(np.eye(12, dtype=np.float32))
    options = Manifest(split_by="time", train_until="2023-03", gallery_until="2023-05")
    split = load(InMemory.of(frame, options, vectors), tmp_path)
    months = [
        sorted(getattr(split, part).columns["time"].astype("M8[M]").astype(int) % 12 + 1)
        for part in PARTS
    ]
    assert months == [[1, 1, 2, 2], [5, 5, 6, 6], [3, 3, 4, 4]]
    split = load(InMemory.of(frame, Manifest(split_by="camera"), vectors), tmp_path)
    assert [len(set(getattr(split, part).columns["camera"])) for part in PARTS] == [1, 1, 1]


def test_a_named_set_with_unknown_classes(tmp_path):
    write_images(Synthetic(classes=5, individuals=2, images=3, size=12), tmp_path / "photos")
    source = Caltech101(root=str(tmp_path / "photos"), setting=Setting.open_set, train=0)
    split = load(source, tmp_path)
    (unknown,) = set(split.query.labels.tolist()) - set(split.gallery.labels.tolist())
    assert sum(split.query.labels == unknown) == 6


def test_near_duplicates_stay_together_in_a_split_by_time(tmp_path):
    images = images_with_near_duplicates()
    # Each photo and its near duplicate are half a year apart.
    copies = np.array(["near" in name for name in images.names])
    numbers = np.array([int(name.split()[1]) for name in images.names])
    days = np.datetime64("2023-01-01") + 30 * numbers + 15 * copies
    images = replace(images, columns={"time": days.astype("M8[s]")})
    grouped = group_near_duplicates(images, cache=tmp_path)
    for chosen, together in ((images, False), (grouped, True)):
        split = split_images(chosen, split_by="time", train=0.4, query=0.4)
        parts = [{name.removesuffix(" near") for name in getattr(split, p).names} for p in PARTS]
        assert (len(set().union(*parts)) == sum(map(len, parts))) is together
