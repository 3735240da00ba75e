"""Listing finds the photos and nothing else."""

import os

import pytest

from outliers_bench.data.files import FileReader, existing_folder, list_images
from outliers_bench.errors import BenchError, UnreadableImageError


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_images_by_extension_sorted_and_without_the_debris_of_archives(tmp_path):
    wanted = ["a/b/c/deep.png", "a/one.JPG", "a/two.jpeg", "z.webp"]
    touch(
        tmp_path,
        *wanted,
        "a/._one.jpg",
        "a/.hidden.jpg",
        ".git/picture.png",
        "__MACOSX/a/one.jpg",
        "a/Thumbs.db",
        "a/notes.txt",
        "a/noextension",
    )
    (tmp_path / "folder.jpg").mkdir()
    assert list_images(tmp_path) == wanted


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, "root/a/one.jpg", "elsewhere/two.jpg")
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "root/pipe.jpg")
    assert list_images(tmp_path / "root") == ["a/broken.jpg", "a/one.jpg", "b/two.jpg"]


def test_a_folder_that_is_none(tmp_path):
    touch(tmp_path, "file.jpg")
    with pytest.raises(BenchError, match=r"data\.root=.*file\.jpg is a file; give the folder"):
        existing_folder(tmp_path / "file.jpg", "data.root")
    with pytest.raises(BenchError, match=r"data\.root=nowhere/x: there is no such folder \(looked"):
        existing_folder("nowhere/x", "data.root")


def test_a_name_that_is_not_utf8(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"x")
    with pytest.raises(BenchError, match="not valid UTF-8; rename it"):
        list_images(tmp_path)


def test_a_file_that_is_gone_or_no_file_is_unreadable(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"gone\.jpg: no such file"):
        FileReader(tmp_path).read("gone.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(UnreadableImageError, match=r"folder\.jpg: is a directory"):
        FileReader(tmp_path).read("folder.jpg")
