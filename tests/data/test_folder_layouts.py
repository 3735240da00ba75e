"""Layouts of folders: ready-made splits, other files, selected images."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.parts import find_parts
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.source import Leakage
from outliers_bench.data.splits.options import Protocol
from outliers_bench.errors import BenchError
from outliers_bench.reports.data_summary import data_rows
from tests.data.layouts import CLASSES, labels, parts, write
from tests.data.sources import fails, load

USUAL = ("train", "val", "valid", "validation", "test", "testing", "Training", "TEST")


@pytest.mark.parametrize("folders", [*combinations(USUAL[:6], 2), USUAL[:1] + USUAL[4:], USUAL])
def test_parts_are_never_classes(folders, tmp_path):
    source = ClassFolders(root=str(parts(tmp_path / "r", *folders)))
    fails(source, tmp_path, r"parts of a ready-made split\. Give data\.label_depth=2 for the class")
    source.label_depth = 2
    assert load(source, tmp_path).gallery.classes == CLASSES
    source.label_depth = 1
    assert len(load(source, tmp_path).gallery.classes) == len(folders)


def test_message_about_parts_gives_options_that_run(tmp_path):
    root = parts(tmp_path / "r", "train", "val", "test")
    with pytest.raises(BenchError) as error:
        load(ClassFolders(root=str(root)), tmp_path)
    assert str(error.value) == (
        f"data.root={root} contains test, train, val, parts of a ready-made split. Give "
        "data.label_depth=2 for the class folders in them, all images in one set; "
        "data.train_folder=train to train on it and split the others; "
        "data=prepared data.query_folder=test data.gallery_folder=train; "
        "data.label_depth=1 if they are the classes"
    )
    pooled = load(ClassFolders(root=str(root), label_depth=2), tmp_path)
    assert len(pooled.train) + len(pooled.query) + len(pooled.gallery) == 24
    split = load(ClassFolders(root=str(root), train_folder="train"), tmp_path)
    assert {name.partition("/")[0] for name in split.train.names} == {"train"}
    assert len(split.train) == 8
    held_out = {name.partition("/")[0] for name in (*split.query.names, *split.gallery.names)}
    assert held_out == {"val", "test"}
    assert (len(split.query), len(split.gallery)) == (8, 8)
    assert set(labels(split.query).values()) == set(CLASSES)
    only_test = ClassFolders(root=str(root), train_folder="./train", exclude=["val/"])
    split = load(only_test, tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (8, 4, 4)
    assert Counter(item.kind for item in split.left_out) == {"unselected": 8}
    source = PreparedFolders(root=str(root), query_folder="test", gallery_folder="train")
    split = load(source, tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (0, 8, 8)
    assert {name.partition("/")[0] for name in split.gallery.names} == {"train"}
    assert {item.detail for item in split.left_out} == {"is in none of the folders test, train"}


def test_parts_without_class_folders(tmp_path):
    """As exported by programs for annotation."""
    names = [f"{part}/img{i}.jpg" for part in ("train", "valid", "test") for i in range(2)]
    root = write(tmp_path / "r", *names)
    with pytest.raises(BenchError) as error:
        load(ClassFolders(root=str(root)), tmp_path)
    assert str(error.value) == (
        f"data.root={root} contains test, train, valid, parts of a ready-made split. Give "
        "data.label_pattern if the names of the images contain the labels; "
        "data=prepared data.query_folder=test data.gallery_folder=train; "
        "data.label_depth=1 if they are the classes"
    )
    source = PreparedFolders(root=str(root), query_folder="test", gallery_folder="train")
    split = load(source, tmp_path)
    assert (split.labeled, len(split.query), len(split.gallery)) == (False, 2, 2)


@pytest.mark.parametrize(
    ("folder", "part"),
    [
        *[(name, "train") for name in ("train2017", "train_images", "trainB", "train_mini")],
        *[(name, "train") for name in ("Training Set", "trainval", "ILSVRC2012_img_train")],
        *[(name, "validation") for name in ("val", "validation-set", "val2017", "VALID")],
        *[(name, "test") for name in ("public_test", "testA", "test1", "data_test", "test ")],
        *[(name, "query") for name in ("query", "Queries", "probe", "query_images")],
        *[(name, "gallery") for name in ("gallery", "gallery images", "bounding_box_test")],
        *[(name, None) for name in ("trains", "testa", "valley", "bullet train", "art_gallery")],
        *[(name, None) for name in ("", "images", "tests", "retriever", "training_shoe", "A")],
    ],
)
def test_names_of_parts(folder, part):
    assert find_parts([folder]) == ({} if part is None else {folder: part})


def test_query_and_gallery_belong_to_prepared(tmp_path):
    root = parts(tmp_path / "r", "Query", "gallery", "train", "val")
    fails(ClassFolders(root=str(root)), tmp_path, "a ready-made split; use data=prepared$")
    split = load(PreparedFolders(root=str(root)), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (8, 8, 8)
    assert {item.kind for item in split.left_out} == {"unselected"}
    assert len(split.left_out) == 8


def test_a_part_next_to_classes_is_refused(tmp_path):
    root = parts(tmp_path / "r", "lion", "tiger", "test")
    with pytest.raises(BenchError) as error:
        load(ClassFolders(root=str(root)), tmp_path)
    assert str(error.value) == (
        f"data.root={root}: is test a class, or a part of a ready-made split? There are other "
        "folders (lion, tiger). data.label_depth=1 takes every folder as a class, "
        "data.exclude=[test/**] leaves one out"
    )
    split = load(ClassFolders(root=str(root), label_depth=1), tmp_path)
    assert split.gallery.classes == ("lion", "test", "tiger")
    split = load(ClassFolders(root=str(root), exclude=["test/**"]), tmp_path)
    assert split.gallery.classes == ("lion", "tiger")


@pytest.mark.parametrize("name", ["train", "Val"])
def test_a_class_may_have_the_name_of_a_part(name, tmp_path):
    """Pictures of trains, as in Pascal VOC, COCO and CIFAR-100; an animal called Val."""
    classes = ["boat", "car", name]
    root = write(tmp_path / "r", *(f"{c}/{i}.jpg" for c in classes for i in range(4)))
    split = load(ClassFolders(root=str(root)), tmp_path)
    assert split.gallery.classes == tuple(sorted(classes))
    assert ("labels", f"{name} is a class here, not a part of a split") in data_rows(split)
    for others in (["boat"], ["boat", "test"]):  # rather images to train on
        two = ClassFolders(root=str(root), include=[f"{c}/" for c in (*others, name)])
        write(root, "test/1.jpg")
        fails(two, tmp_path, "is .* a class, or a part|parts of a ready-made split")


def test_deeper_folders_that_would_be_more_classes_are_named(tmp_path):
    names = [f"s{s}/c{s}{c}/{a}/{s}{c}{a}.jpg" for s in "12" for c in "12" for a in "xyz"]
    root = write(tmp_path / "r", *names)

    def row(source):
        return dict(data_rows(load(source, tmp_path))).get("labels")

    text = "the first of 3 folders; data.label_depth=2 would be 4 classes, data.label_depth=3 would"
    assert row(ClassFolders(root=str(root))) == f"{text} be 3 classes"
    assert row(ClassFolders(root=str(root), label_depth=1)) is None
    for part in ("query", "gallery"):
        write(tmp_path / "p", *(f"{part}/{name}" for name in names))
    write(tmp_path / "p", *(f"query/{name}/1/{name}.jpg" for name in "ab"))
    fewer = "the first of 2 or more folders; data.label_depth=2 would be 5 classes"
    assert row(PreparedFolders(root=str(tmp_path / "p"))) == fewer
    for s in "12":  # some photos are directly in the class folder
        write(root, f"s{s}/loose.jpg")
    assert row(ClassFolders(root=str(root))) is None


def test_usual_names_of_parts_in_prepared(tmp_path):
    root = parts(tmp_path / "r", "bounding_box_train", "bounding_box_test", "Probe")
    split = load(PreparedFolders(root=str(root)), tmp_path)
    assert {name.partition("/")[0] for name in split.query.names} == {"Probe"}
    assert {name.partition("/")[0] for name in split.gallery.names} == {"bounding_box_test"}
    assert {name.partition("/")[0] for name in split.train.names} == {"bounding_box_train"}
    parts(root, "query")
    fails(
        PreparedFolders(root=str(root)),
        tmp_path,
        r"contains Probe and query, .* usual names of the query images; choose .*query_folder=$",
    )
    split = load(PreparedFolders(root=str(root), query_folder="query/"), tmp_path)
    assert split.query.names[0] == "query/cat/0.jpg"


def test_prepared_without_clear_parts(tmp_path):
    root = parts(tmp_path / "r", "train", "test")
    fails(
        PreparedFolders(root=str(root)),
        tmp_path,
        "no folder query in it; .* say which of test, train has the queries and which is searched",
    )
    same = PreparedFolders(root=str(root), query_folder="test", gallery_folder="test")
    fails(same, tmp_path, r"data=folder data\.root=.*/r/test data\.protocol=leave_one_out$")
    for given in (".", "", "../r", "/"):
        other = PreparedFolders(root=str(root), query_folder=given, gallery_folder="train")
        fails(other, tmp_path, "data.query_folder=.*: there is no such folder in")
    for given in ("./test", "train/../test//", str(root / "test")):
        same_folder = PreparedFolders(root=str(root), query_folder=given, gallery_folder="train")
        assert load(same_folder, tmp_path).query.names[0] == "test/cat/0.jpg"
    inside = PreparedFolders(root=str(root), query_folder="test/cat", gallery_folder="./test")
    fails(inside, tmp_path, r"data\.query_folder=test/cat is in data\.gallery_folder=test, so its")
    learned = PreparedFolders(
        root=str(root), query_folder="test", gallery_folder="train", train_folder="train"
    )
    split = load(learned, tmp_path)
    assert (len(split.train), len(split.gallery)) == (8, 8)
    gone = PreparedFolders(root=str(root), query_folder="test", gallery_folder="no")
    fails(gone, tmp_path, r"data\.gallery_folder=no: there is no such folder in .*/r$")
    inner = parts(tmp_path / "inner", "images/a", "images/b")
    source = PreparedFolders(
        root=str(inner), query_folder="images/a", gallery_folder="images/b", label_depth=1
    )
    assert set(labels(load(source, tmp_path).query).values()) == set(CLASSES)


def test_train_folder_errors(tmp_path):
    root = str(parts(tmp_path / "r", "train", "test"))
    fails(ClassFolders(root=root, train_folder="no"), tmp_path, "train_folder=no: there is no such")
    nothing = ClassFolders(root=root, train_folder="train", exclude=["train/"])
    fails(nothing, tmp_path, "no images in this folder of data")
    both = ClassFolders(root=root, train_folder="train", protocol=Protocol.leave_one_out)
    fails(both, tmp_path, "which has no training images; give one of them")


def test_train_folder_shares_near_duplicates_in_one_part(tmp_path):
    root = parts(tmp_path / "r", "train", "test")
    source = ClassFolders(root=str(root), train_folder="train", leakage=Leakage.group)
    split = source.load(seed=0, cache=tmp_path, group=lambda images: images)
    assert len(split.train) == 8


def test_contradictions(tmp_path):
    root = str(parts(tmp_path / "r", "a", "b"))
    for source in (ClassFolders, PreparedFolders):
        both = source(root=root, label_depth=1, label_pattern="(a)")
        fails(both, tmp_path, "the label is the name of a folder or found by a pattern; give one")
        fails(source(root=root, label_depth=0), tmp_path, r"data\.label_depth=0: give 1")
        fails(source(root=root, exclude=["/a"]), tmp_path, "'/a' is no pattern of a path")


def test_everything_excluded(tmp_path):
    root = str(parts(tmp_path / "r", "a", "b"))
    source = ClassFolders(root=root, exclude=["*.jpg"])
    fails(source, tmp_path, "no images in this folder; it contains 16 files that data.include and")


def test_other_files_are_counted_and_change_nothing(tmp_path):
    root = parts(tmp_path / "r", "a", "b")
    before = load(ClassFolders(root=str(root)), tmp_path)
    for name in ("a/@eaDir/0.jpg/THUMB.jpg", "a/._0.jpg", "b/#recycle/x.jpg", "b/.hidden/x.jpg"):
        write(root, name)
    (root / "a/notes.txt").write_bytes(b"a cat")
    (root / "b/film.mp4").write_bytes(b"\0\0\0\x18ftypmp42")
    split = load(ClassFolders(root=str(root)), tmp_path)
    assert split.fingerprint == before.fingerprint
    assert Counter(item.kind for item in split.left_out) == {"other": 2, "system": 4}
    np.testing.assert_array_equal(split.query.labels, before.query.labels)


def test_selected_images_of_a_prepared_split(tmp_path):
    root = parts(tmp_path / "r", "query", "gallery", "train")
    patterns = {"include": ["query/**", "gallery/**"], "exclude": ["gallery/*/3.jpg"]}
    split = load(PreparedFolders(root=str(root), **patterns), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (0, 8, 6)
    assert Counter(item.detail for item in split.left_out) == {
        "does not match data.include": 8,
        "matches data.exclude=gallery/*/3.jpg": 2,
    }
    nothing = PreparedFolders(root=str(root), exclude=["query/**"])
    fails(
        nothing, tmp_path, "no images in query; it contains 8 files that data.include and data.ex"
    )
