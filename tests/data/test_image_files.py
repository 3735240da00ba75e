"""Reading of image files, and folders given as options."""

import io
import os
from pathlib import Path

import pytest
from PIL import Image

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.image_files import (
    FileReader,
    absolute_path,
    existing_folder,
    make_cache_dir,
)
from outliers_bench.errors import BenchError, InaccessibleImageError, UnreadableImageError
from outliers_bench.store.files import write_atomically


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"x")


def test_missing_folder(tmp_path):
    touch(tmp_path, "file.jpg")
    with pytest.raises(BenchError, match=r"data\.root=.*file\.jpg is a file; give the folder"):
        existing_folder(tmp_path / "file.jpg", "data.root")
    with pytest.raises(BenchError, match=r"data\.root=nowhere/x: there is no such folder \(looked"):
        existing_folder("nowhere/x", "data.root")
    with pytest.raises(BenchError, match=r"data\.root=~no-one-of-this-name/x: there is no home"):
        existing_folder("~no-one-of-this-name/x", "data.root")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BenchError, match=r"loop: there is no such folder"):
        existing_folder(tmp_path / "loop", "data.root")


def test_missing_file_or_folder_is_unreadable(tmp_path):
    with pytest.raises(UnreadableImageError, match=r"gone\.jpg: no such file"):
        FileReader(tmp_path).read("gone.jpg")
    (tmp_path / "folder.jpg").mkdir()
    with pytest.raises(UnreadableImageError, match=r"folder\.jpg: is a directory"):
        FileReader(tmp_path).read("folder.jpg")


def test_changed_content_is_refused_even_if_not_an_image(tmp_path):
    file, picture = tmp_path / "photo.jpg", io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "JPEG")
    for content in (b"x", picture.getvalue()):
        file.write_bytes(content)
        with pytest.raises(InaccessibleImageError, match=r"^photo\.jpg: changed during the run$"):
            FileReader(tmp_path).read("photo.jpg", content_hash(b"as it was").digest())
    Image.new("RGB", (5, 4)).save(file)
    digest = content_hash(file.read_bytes()).digest()
    assert FileReader(tmp_path).read("photo.jpg", digest).shape == (4, 5, 3)


def test_cache_dir_is_the_option_or_the_default(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "default"))
    assert make_cache_dir(None) == tmp_path / "default"
    assert make_cache_dir(str(tmp_path / "own")) == tmp_path / "own"
    assert (tmp_path / "own").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cache=.*file/below cannot be created .* cache=<folder>"):
        make_cache_dir(str(tmp_path / "file" / "below"))


def test_a_home_that_nobody_has_is_refused_with_its_option(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for path, option, message in (
        (
            "~nobody-has-this/x",
            "data.root",
            r"data\.root=~nobody.*: there is no home",
        ),
        ("~nobody-has-this", "", "^~nobody-has-this: there is no home folder"),
    ):
        with pytest.raises(BenchError, match=message):
            absolute_path(path, option)
    (tmp_path / "~nobody-has-this").mkdir()
    assert absolute_path("~nobody-has-this/x") == tmp_path / "~nobody-has-this" / "x"
    monkeypatch.setenv("HOME", "/home/ada")
    assert absolute_path("~/photos") == Path("/home/ada/photos")


def test_only_own_leftovers_are_removed(tmp_path) -> None:
    ours, others = tmp_path / ".search-0123456789abcdef.jpg", tmp_path / ".search-history"
    for path in (ours, others):
        path.touch()
        os.utime(path, (0, 0))
    with write_atomically(tmp_path / "search.jpg") as temporary:
        temporary.write_bytes(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".search-history", "search.jpg"]
