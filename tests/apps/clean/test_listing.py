"""Listing of photos, their labels, and colliding names."""

import os
import unicodedata

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.apps.clean.findings import find_bad_names
from outliers_bench.apps.clean.listing import Listing, find_collisions, labels_and_parts, list_files


def test_links_are_neither_followed_nor_listed(tmp_path) -> None:
    for name in ("root/a/1.JPG", "root/a/deep/2.png", "root/b.xcf", "root/notes.txt", "out/3.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    for name in (".hidden.jpg", "__MACOSX/1.jpg", "a/.git/1.jpg"):
        (tmp_path / "root" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "root" / name).touch()
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/out").symlink_to(tmp_path / "out")
    (tmp_path / "root/link.jpg").symlink_to(tmp_path / "out/3.jpg")
    os.mkfifo(tmp_path / "root/pipe.jpg")
    assert list_files(tmp_path / "root") == Listing(
        ["a/1.JPG", "a/deep/2.png"],
        {"b.xcf": "GIMP is not supported; convert it to JPEG"},
        links=3,
        others=2,
        system=3,
    )


@pytest.mark.parametrize(
    ("name", "label", "part"),
    [
        ("train/cat/1.jpg", "cat", 4),
        ("Train/cat/1.jpg", "cat", 4),
        ("val/cat/1.jpg", "cat", 3),
        ("test/cat/1.jpg", "cat", 2),
        ("extra/cat/1.jpg", "cat", 0),
        ("gallery/dog/old/1.jpg", "dog", 1),
        ("query/cat/1.jpg", "cat", 0),
        ("query/1.jpg", None, 0),
    ],
)
def test_labels_of_a_prepared_split(name, label, part) -> None:
    labels = labels_and_parts([name, "query/x/1.jpg", "gallery/y/1.jpg"])
    assert labels[name] == (label, part)


def test_labels_of_parts_without_queries() -> None:
    labels = labels_and_parts(["train/cat/1.jpg", "val/dog/2.jpg", "test/3.jpg"])
    assert labels == {
        "train/cat/1.jpg": ("cat", 4),
        "val/dog/2.jpg": ("dog", 3),
        "test/3.jpg": (None, 2),
    }
    assert labels_and_parts(["train/cat/1.jpg"]) == {"train/cat/1.jpg": ("train", 0)}


def test_folders_of_one_part_are_classes() -> None:
    """Copies under two labels are reported; in two folders of one part they would be moved."""
    labels = labels_and_parts(["train 1/a.jpg", "train 2/a.jpg", "train 3/a.jpg"])
    assert [label for label, _ in labels.values()] == ["train 1", "train 2", "train 3"]
    parts = labels_and_parts(["trainA/cat/1.jpg", "trainB/cat/2.jpg", "testA/cat/3.jpg"])
    assert {label for label, _ in parts.values()} == {"cat"}


def test_labels_of_deeper_trees() -> None:
    names = ["site/a/lion/1.jpg", "site/a/tiger/1.jpg", "site/loose.jpg"]
    for depth in (3, -1):
        labels = [label for label, _ in labels_and_parts(names, depth=depth).values()]
        assert labels == ["lion", "tiger", None if depth == 3 else "site"]
    parts = labels_and_parts(["query/s/lion/1.jpg", "gallery/s/tiger/1.jpg"], depth=2)
    assert list(parts.values()) == [("lion", 0), ("tiger", 1)]


def test_labels_of_class_folders_if_one_is_named_train() -> None:
    assert labels_and_parts(["train/1.jpg", "query/2.jpg", "cat/deep/3.jpg", "4.jpg"]) == {
        "train/1.jpg": ("train", 0),
        "query/2.jpg": ("query", 0),
        "cat/deep/3.jpg": ("cat", 0),
        "4.jpg": (None, 0),
    }


def test_names_that_differ_in_case_or_unicode_normalization_collide() -> None:
    composed, decomposed = (unicodedata.normalize(form, "é.jpg") for form in ("NFC", "NFD"))
    assert find_collisions(["a/" + composed, "a/" + decomposed, "a/e.jpg"]) == [
        ("a/" + composed, "a/" + decomposed)
    ]
    assert find_collisions(["x/1.jpg", "x/2.jpg", "y/1.jpg"]) == []
    # Colliding folders are reported once; files in them only if they collide themselves.
    assert find_collisions(["Cat/a.jpg", "cat/b.jpg", "cat/c.jpg", "Cat/c.jpg"]) == [
        ("cat", "Cat"),
        ("cat/c.jpg", "Cat/c.jpg"),
    ]
    assert find_collisions(["Cat/in/a.jpg", "cat/in/b.jpg"]) == [("cat", "Cat")]


@settings(deadline=None)
@given(st.lists(st.text("aAbB", min_size=1, max_size=3), unique=True, max_size=8))
def test_no_files_collide_without_the_reported_ones(names) -> None:
    reported = {name for name, _ in find_collisions(names)}
    others = [name.lower() for name in names if name not in reported]
    assert len(set(others)) == len(others)
    assert {name.lower() for name in names} == set(others)


def test_name_that_is_not_utf8() -> None:
    (finding,) = find_bad_names(["a.jpg", "caf\udce9.jpg"])
    assert (finding.path, finding.detail) == ("caf\udce9.jpg", "is not valid UTF-8")
