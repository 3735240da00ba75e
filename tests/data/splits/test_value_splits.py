"""Splits by a column: encounters of each individual, cameras and sites of all."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.data.splits.by_class import hold_out
from outliers_bench.data.splits.by_value import MissingValues
from outliers_bench.data.splits.options import Setting
from outliers_bench.errors import BenchError
from tests.data.split_cases import images_of, labels_of, rows_of, split_images, values_of

# 10 individuals of 24 photos: 6 encounters of 4 photos, each at one of 5 cameras.
LABELS = np.repeat(np.arange(10), 24).tolist()
ENCOUNTERS = [f"{row // 4}" for row in range(240)]
CAMERAS = [f"camera {(row // 4 * 7) % 5}" for row in range(240)]


def scenes():
    return images_of(LABELS, encounter=ENCOUNTERS, camera=CAMERAS)


def test_encounters_stay_together_in_each_individual():
    split = split_images(scenes(), split_by="encounter")
    in_parts = values_of(split, "encounter")
    assert [len(values) for values in in_parts] == [40, 10, 10]
    assert len(set().union(*in_parts)) == 60
    assert labels_of(split) == [set(range(10))] * 3
    assert split.parts_from == "by encounter, in each class: train 40, gallery 10, query 10"
    # As with the same column as group, which training keeps together, too.
    grouped = split_images(images_of(LABELS, group=ENCOUNTERS))
    assert rows_of(split) == rows_of(grouped)
    training, held_out = hold_out(split.train, 0.3, seed=0)
    assert not set(split.train.take(training).groups) & set(split.train.take(held_out).groups)


def test_groups_connect_encounters():
    # Near duplicates in the first encounters 0 and 1 of the first individual.
    groups = ["near" if row in (3, 4) else f"alone {row}" for row in range(240)]
    images = images_of(LABELS, encounter=ENCOUNTERS, group=groups)
    for seed in range(10):
        split = split_images(images, split_by="encounter", seed=seed)
        (at,) = [part for part in values_of(split, "encounter") if "0" in part]
        assert "1" in at
        assert len(set().union(*values_of(split, "group"))) == 59


@pytest.mark.parametrize("seed", range(5))
def test_cameras_of_queries_are_not_those_of_the_gallery(seed):
    split = split_images(scenes(), split_by="camera", seed=seed)
    in_parts = values_of(split, "camera")
    assert [len(values) for values in in_parts] == [3, 1, 1]
    assert len(set().union(*in_parts)) == 5
    assert not split.left_out
    assert "by camera: train 3 (camera " in split.parts_from


def test_cameras_by_content_and_seed():
    images = scenes()
    shuffled = images.take(np.random.default_rng(0).permutation(240))
    assert rows_of(split_images(images, split_by="camera")) == rows_of(
        split_images(shuffled, split_by="camera")
    )
    others = {str(rows_of(split_images(images, split_by="camera", seed=s))) for s in range(8)}
    assert len(others) > 1


def test_individuals_without_another_camera_stay_as_queries():
    # Individual 2 was seen by one camera only.
    images = images_of([0, 0, 1, 1, 2, 2], camera=["a", "b", "a", "b", "a", "a"])
    sides = {
        tuple(rows_of(split_images(images, split_by="camera", train=0, seed=s))[1])
        for s in range(9)
    }
    assert sides == {(0, 2, 4, 5), (1, 3)}


@pytest.mark.parametrize("setting", [Setting.open_set, Setting.disjoint_set])
def test_individuals_and_cameras(setting):
    split = split_images(scenes(), split_by="camera", setting=setting, train=0.5)
    in_parts = values_of(split, "camera")
    assert len(set().union(*in_parts)) == sum(map(len, in_parts)) == 5
    train, query, gallery = labels_of(split)
    if setting is Setting.open_set:
        assert len(query - gallery - train) == 2
    else:
        assert len(train) == 5
        assert not train & (query | gallery)
    assert {item.kind for item in split.left_out} == {"unselected"}


def test_a_column_that_is_not_there():
    with pytest.raises(BenchError, match=r"did you mean camera\? the columns are camera, e"):
        split_images(scenes(), split_by="cameras")


def test_too_few_values():
    images = images_of([0, 0, 1, 1], camera=["a", "b", "a", "b"], site=["x"] * 4)
    with pytest.raises(BenchError, match=r"camera has 2 values \(a, b\); .* use data.train=0"):
        split_images(images, split_by="camera")
    with pytest.raises(BenchError, match=r"site has 1 value \(x\); query and gallery need two"):
        split_images(images, split_by="site", train=0)
    images = images_of([0, 0, 1, 1], camera=["a", "b", "a", "b"], group=list("nnop"))
    with pytest.raises(
        BenchError, match=r"2 values \(a, b\), and groups connect them to 1; train, .* three$"
    ):
        split_images(images, split_by="camera")


def test_values_that_leave_nothing_to_score():
    images = images_of([0, 0, 1, 1], camera=["a", "a", "b", "b"])
    with pytest.raises(BenchError, match="no class has two images of different values of camera"):
        split_images(images, split_by="camera", train=0)


def test_images_without_a_value():
    cameras = ["", "unknown", *CAMERAS[2:]]
    images = images_of(LABELS, camera=cameras)
    with pytest.raises(
        BenchError,
        match=r"toy: 2 of 240 images have no camera \(0, 1\), which .*"
        r"exclude to exclude them, or data.missing_values=single",
    ):
        split_images(images, split_by="camera")
    split = split_images(images, split_by="camera", missing_values=MissingValues.exclude)
    assert [item.name for item in split.left_out] == ["0", "1"]
    split = split_images(images, split_by="camera", missing_values=MissingValues.single)
    assert len(set().union(*values_of(split, "camera"))) == 7


def test_a_column_of_numbers():
    images = images_of([0, 0, 0, 1, 1, 1], x=[1] * 6)
    numbers = replace(images, columns={"year": np.array([1.0, 2.0, np.nan] * 2)})
    with pytest.raises(BenchError, match=r"2 of 6 images have no year \(2, 5\)"):
        split_images(numbers, split_by="year", train=0)
    split = split_images(numbers, split_by="year", train=0, missing_values=MissingValues.exclude)
    assert values_of(split, "year")[1:] in ([{1.0}, {2.0}], [{2.0}, {1.0}])


@pytest.mark.parametrize(
    "cells",
    [["pool ", "pool", "den"], [1, "1", 2], [(1, [2]), (1, [2]), (3,)], [{"a": 1}] * 2 + [{}]],
)
def test_values_are_compared_as_texts(cells):
    images = images_of([0, 0, 0] * 2, place=["x"] * 6)
    for row, cell in enumerate(cells * 2):
        images.columns["place"][row] = cell
    images = replace(images, labels=np.array([0, 1, 0, 1, 0, 1]), classes=("a", "b"))
    split = split_images(images, split_by="place", train=0)
    assert {tuple(rows) for rows in rows_of(split)[1:]} == {(0, 1, 3, 4), (2, 5)}
