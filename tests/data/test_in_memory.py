"""Data of a Python program: tables, arrays of images, and embeddings."""

import numpy as np
import pandas as pd
import pytest

from outliers_bench.data.image_files import FileReader
from outliers_bench.data.in_memory import ImageArrays, InMemory, Vectors, labels_frame
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.source import LabeledSource
from outliers_bench.data.splits.options import Protocol
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.leakage.audited_splits import SharedSplits
from tests.data.sources import fails, load, manifest

OPTIONS = LabeledSource()
RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 9, 8, 3), np.uint8)
LABELS = ["a", "b", 7] * 4


def test_a_frame_is_split_like_the_same_manifest(table, photos, tmp_path, monkeypatch):
    expected = load(manifest(table, photos), tmp_path)
    monkeypatch.chdir(photos)  # paths are relative to the working directory
    split = load(InMemory.of(table, OPTIONS), tmp_path)
    assert split.fingerprint == expected.fingerprint
    assert split.name == "DataFrame"
    monkeypatch.chdir(tmp_path)
    named = LabeledSource(name="mine", protocol=Protocol.leave_one_out)
    table["path"] = [photos / path for path in table["path"]]
    split = load(InMemory.of(table, named), tmp_path)
    assert (split.name, len(split.gallery)) == ("mine", 30)
    table["split"] = ["train", "train", "query", "gallery", "gallery"] * 6
    split = load(InMemory.of(table, OPTIONS), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (12, 6, 12)


def test_mistakes_in_a_frame_are_those_of_a_manifest(table, photos, tmp_path):
    fails(InMemory.of(table.drop(columns="label"), OPTIONS), tmp_path, "the DataFrame has no col")
    table.loc[3, "label"] = np.nan
    source = InMemory.of(table, Manifest(root=str(photos)))
    fails(source, tmp_path, "DataFrame: 1 of 30 images have no label: 1 empty")
    fails(InMemory.of(table.head(0), OPTIONS), tmp_path, "has no rows")
    twice = pd.concat([table, table[["label"]]], axis=1)
    fails(InMemory.of(twice, OPTIONS), tmp_path, "the DataFrame has two columns label")


@pytest.mark.parametrize("images", [IMAGES, list(IMAGES)], ids=["array", "list"])
def test_arrays_are_images(images, tmp_path):
    source = InMemory.of(labels_frame(LABELS, ""), OPTIONS, ImageArrays(images))
    split = load(source, tmp_path)
    assert split.gallery.classes == ("7", "a", "b")
    for part in (split.train, split.query, split.gallery):
        for row, name in enumerate(part.names):
            assert part.classes[part.labels[row]] == str(LABELS[int(name)])
            assert np.array_equal(part.read(row), IMAGES[int(name)])
    assert not (tmp_path / "cache").exists()


def test_arrays_may_be_gray_and_of_several_sizes():
    images = ImageArrays([IMAGES[0], IMAGES[0, ..., 0], IMAGES[0, :5, :, :1], IMAGES[0].copy()])
    assert images.read("0").shape == images.read("1").shape == (9, 8, 3)
    assert (images.read("2") == IMAGES[0, :5, :, :1]).all()
    first, gray, small, same = images.digests()
    assert len({first, gray, small}) == 3
    assert first == same


def test_images_that_have_changed_are_not_read(tmp_path):
    images = IMAGES.copy()
    split = load(InMemory.of(labels_frame(LABELS, ""), OPTIONS, ImageArrays(images)), tmp_path)
    images //= 2
    with pytest.raises(InaccessibleImageError, match="changed since it was given"):
        split.gallery.read(0)


def test_a_frame_of_labels_may_have_the_columns_of_a_manifest(tmp_path):
    labels = pd.DataFrame({"label": LABELS, "split": ["query", "gallery"] * 6}, index=range(5, 17))
    split = load(InMemory.of(labels_frame(labels, ""), OPTIONS, ImageArrays(IMAGES)), tmp_path)
    assert [int(name) % 2 for name in split.query.names] == [0] * 6


def test_arrays_of_something_else_are_refused():
    for wrong in (IMAGES / 255, IMAGES[None], IMAGES[..., :2], [np.zeros((0, 3, 3), np.uint8)]):
        with pytest.raises(BenchError, match=r"number 0 is .*; give uint8"):
            ImageArrays(wrong)
    with pytest.raises(BenchError, match="the images: 12 rows but 11 labels"):
        InMemory.of(labels_frame(LABELS[1:], ""), OPTIONS, ImageArrays(IMAGES))
    with pytest.raises(BenchError, match="the images have no labels"):
        labels_frame(None, "the images")
    with pytest.raises(BenchError, match="labels=5: give a list"):
        labels_frame(5, "the images")
    with pytest.raises(BenchError, match="not an array; for files, give a folder, or a DataFrame"):
        ImageArrays(["a.jpg", "b.jpg"])


def test_equal_vectors_stay_different_items(tmp_path):
    matrix = np.float32([[0, 1], [1, 0], [0, 1], [1, 1], [0, 1], [1, 0]])
    source = InMemory.of(labels_frame("aabbab", ""), OPTIONS, Vectors(matrix))
    split = load(source, tmp_path)
    assert not split.left_out
    assert len(split.train) + len(split.query) + len(split.gallery) == 6
    assert not isinstance(split.gallery.reader, FileReader)
    with pytest.raises(BenchError, match="only its embedding is known"):
        split.gallery.read(0)
    digests = Vectors(matrix).digests()
    assert len(set(digests)) == 6
    # By content, so that the order of the rows decides nothing.
    assert set(Vectors(matrix[::-1]).digests()) == set(digests)


def test_a_sweep_takes_other_arrays_for_other_data(tmp_path):
    """Their options are equal, and a sweep loads equal sources once."""
    shared = SharedSplits()
    shared.begin()
    splits = []
    for brightness in (0, 100):
        images = [np.full((9, 9, 3), brightness + row, np.uint8) for row in range(8)]
        frame = labels_frame(["a", "b"] * 4, "the images")
        source = InMemory.of(frame, OPTIONS, ImageArrays(images))
        splits += [shared.load_unaudited(source, seed=0, cache=tmp_path) for _ in range(2)]
    first, again, other, _ = splits
    assert first is again
    assert not set(first.images.digests) & set(other.images.digests)
