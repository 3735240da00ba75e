"""Listing finds the photos and nothing else."""

import io
import os

import pytest
from PIL import Image

from outliers_bench.data.content_hash import content_hash
from outliers_bench.data.image_files import FileReader, cache_folder, existing_folder, list_images
from outliers_bench.errors import BenchError, InaccessibleImageError, UnreadableImageError
from outliers_bench.store.files import written
from outliers_bench.types import LeftOut


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
    assert list_images(tmp_path) == (wanted, [])
    assert list_images(tmp_path, "a") == (wanted[:3], [])


def test_images_of_kinds_that_are_not_read_are_named(tmp_path):
    touch(tmp_path, "a/one.jpg", "a/two.HEIC", "b/three.nef", "b/labels.csv", "b/.x.heic")
    (tmp_path / "b/gone.avif").symlink_to(tmp_path / "nowhere")
    names, left_out = list_images(tmp_path)
    assert names == ["a/one.jpg"]
    assert left_out == [
        LeftOut("a/two.HEIC", "unsupported", ".heic is not read; convert it to JPEG"),
        LeftOut("b/gone.avif", "unsupported", ".avif is not read; convert it to JPEG"),
        LeftOut("b/three.nef", "unsupported", ".nef is not read; convert it to JPEG"),
    ]


def test_links_are_followed_but_not_in_circles(tmp_path):
    touch(tmp_path, "root/a/one.jpg", "elsewhere/two.jpg")
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    os.mkfifo(tmp_path / "root/pipe.jpg")
    (tmp_path / "root/a/pipe.jpg").symlink_to(tmp_path / "root/pipe.jpg")
    names, left_out = list_images(tmp_path / "root")
    assert names == ["a/broken.jpg", "a/one.jpg", "b/two.jpg"]
    assert left_out == []


def test_links_to_themselves(tmp_path):
    touch(tmp_path, "a/one.jpg")
    (tmp_path / "a/loop").symlink_to("loop")
    (tmp_path / "a/here").symlink_to("there")
    (tmp_path / "a/there").symlink_to("here")
    (tmp_path / "a/self.jpg").symlink_to("self.jpg")
    assert list_images(tmp_path) == (["a/one.jpg", "a/self.jpg"], [])


def test_a_folder_that_is_none(tmp_path):
    touch(tmp_path, "file.jpg")
    with pytest.raises(BenchError, match=r"data\.root=.*file\.jpg is a file; give the folder"):
        existing_folder(tmp_path / "file.jpg", "data.root")
    with pytest.raises(BenchError, match=r"data\.root=nowhere/x: there is no such folder \(looked"):
        existing_folder("nowhere/x", "data.root")
    with pytest.raises(BenchError, match=r"data\.root=~no-one-of-this-name/x: there is no such"):
        existing_folder("~no-one-of-this-name/x", "data.root")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(BenchError, match=r"loop: there is no such folder"):
        existing_folder(tmp_path / "loop", "data.root")


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


def test_another_content_than_asked_for_is_refused_even_if_it_is_no_image(tmp_path):
    file, picture = tmp_path / "photo.jpg", io.BytesIO()
    Image.new("RGB", (4, 4)).save(picture, "JPEG")
    for content in (b"x", picture.getvalue()):
        file.write_bytes(content)
        with pytest.raises(InaccessibleImageError, match=r"^photo\.jpg: changed while the run was"):
            FileReader(tmp_path).read("photo.jpg", content_hash(b"as it was").digest())
    Image.new("RGB", (5, 4)).save(file)
    digest = content_hash(file.read_bytes()).digest()
    assert FileReader(tmp_path).read("photo.jpg", digest).shape == (4, 5, 3)


def test_the_cache_is_the_one_asked_for_or_everybodys(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "everybodys"))
    assert cache_folder(None) == tmp_path / "everybodys"
    assert cache_folder(str(tmp_path / "mine")) == tmp_path / "mine"
    assert (tmp_path / "mine").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(BenchError, match=r"cache=.*file/below cannot be made .* cache=<folder>"):
        cache_folder(str(tmp_path / "file" / "below"))


def test_only_our_own_leftovers_are_removed(tmp_path) -> None:
    ours, others = tmp_path / ".search-0123456789abcdef.jpg", tmp_path / ".search-history"
    for path in (ours, others):
        path.touch()
        os.utime(path, (0, 0))
    with written(tmp_path / "search.jpg") as aside:
        aside.write_bytes(b"new")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".search-history", "search.jpg"]
