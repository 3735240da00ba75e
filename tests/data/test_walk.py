"""Listing of the files below a folder."""

import io
import os
import socket
import subprocess
import sys
import textwrap

import pytest
from PIL import Image

from outliers_bench.data.formats.endings import ENDINGS
from outliers_bench.data.formats.kinds import DECODED
from outliers_bench.data.listing import LINK, list_images, walk
from outliers_bench.errors import BenchError
from outliers_bench.types import LeftOut


def touch(root, *names, data=b"x"):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(data)


def picture(kind="JPEG"):
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, kind)
    return buffer.getvalue()


def kinds(left_out):
    return {item.name: (item.kind, item.detail) for item in left_out}


def test_usual_endings_are_listed_without_being_opened(tmp_path):
    expected = ["a/b/c/deep.png", "a/one.JPG", "a/photo.txt.jpg", "a/two.jpeg", "z.webp"]
    touch(tmp_path, *expected)
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "a/one.JPG").chmod(0)
    assert list_images(tmp_path) == (expected, [])
    assert list_images(tmp_path, "a") == (expected[:4], [])


def test_other_endings_are_judged_by_the_first_bytes(tmp_path):
    images = {
        "left.mpo": picture(),
        "stereo.jps": picture(),
        "web.pjpeg": picture(),
        "page.jpg_large": picture(),
        "IMG_1": picture(),
        "IMG_2.JPG.1": picture("GIF"),
        "trailing.jpg.": picture(),
        "line\nbreak": picture("PNG"),
        "anim.apng": picture("PNG"),
        "paint.dib": picture("BMP"),
        "renamed.nef": picture(),
    }
    for name, data in images.items():
        touch(tmp_path, f"a/{name}", data=data)
    touch(tmp_path, "a/table.csv", data=b"path,label\nBM,1")
    touch(tmp_path, "a/film.mp4", data=b"\0\0\0\x18ftypmp42")
    touch(tmp_path, "a/nothing", data=b"")
    touch(tmp_path, "a/BMW.txt", data=b"BMW 3 in front of the house, and so on, and so on")
    touch(tmp_path, "a/P1.txt", data=b"P1 has the left camera")
    touch(tmp_path, "a/model.pb", data=b"\x0a\x03\x01\x01" + bytes(range(1, 100)))
    touch(tmp_path, "a/P2.txt", data=b"P2 12 photos of a lion")
    names, left_out = list_images(tmp_path)
    assert names == sorted(f"a/{name}" for name in images)
    assert kinds(left_out) == {
        "a/BMW.txt": ("other", "not an image"),
        "a/P1.txt": ("other", "not an image"),
        "a/P2.txt": ("other", "not an image"),
        "a/film.mp4": ("other", "not an image"),
        "a/model.pb": ("other", "not an image"),
        "a/nothing": ("other", "empty"),
        "a/table.csv": ("other", "not an image"),
    }


def test_copies_of_photos_are_no_photos(tmp_path):
    """As exiftool, editors and browsers leave; each would be the match of its photo."""
    copies = ("1.jpg_original", "1.jpg~", "1.jpg.bak", "1.JPG.ORIG", "2.jpg.part", "2.crdownload")
    copies += ("1.jpg.old", "1.jpg_backup", "1.jpg.~1~")
    touch(tmp_path, "1.jpg", *copies, data=picture())
    names, left_out = list_images(tmp_path)
    assert names == ["1.jpg"]
    assert kinds(left_out) == dict.fromkeys(
        sorted(copies), ("other", "a backup or an unfinished download")
    )


def test_known_kinds_that_are_not_decoded_are_unsupported(tmp_path):
    raw = picture("TIFF")  # as begin the raw files of most cameras
    touch(tmp_path, "a.nef", "b.DNG", "e.gpr", data=raw)
    touch(tmp_path, "c.xcf", "d.x3f")
    touch(tmp_path, "noending", data=b"gimp xcf file")
    (tmp_path / "gone.nef").symlink_to(tmp_path / "nowhere")
    names, left_out = list_images(tmp_path)
    assert names == []
    assert kinds(left_out) == {
        "a.nef": ("unsupported", "camera raw is not supported; convert it to JPEG"),
        "b.DNG": ("unsupported", "camera raw is not supported; convert it to JPEG"),
        "c.xcf": ("unsupported", "GIMP is not supported; convert it to JPEG"),
        "d.x3f": ("unsupported", "camera raw is not supported; convert it to JPEG"),
        "e.gpr": ("unsupported", "camera raw is not supported; convert it to JPEG"),
        "gone.nef": ("unsupported", "camera raw is not supported; convert it to JPEG"),
        "noending": ("unsupported", "GIMP is not supported; convert it to JPEG"),
    }


def test_a_file_with_the_ending_of_an_image_is_never_another_file(tmp_path):
    touch(tmp_path, *(f"x{ending}" for ending in ENDINGS))
    names, left_out = list_images(tmp_path)
    assert names == sorted(f"x{ending}" for ending, kind in ENDINGS.items() if kind in DECODED)
    assert {item.kind for item in left_out} == {"unsupported"}


def test_system_and_hidden_files_are_counted_once_each(tmp_path):
    folders = ("@eaDir/one.jpg", "#recycle", "$RECYCLE.BIN", "@Recently-Snapshot", "#snapshot")
    folders += ("System Volume Information", "lost+found", "__MACOSX", ".ipynb_checkpoints")
    folders += (".thumbnails", ".Trash-1000", ".git", "~snapshot", "@Recycle")
    folders += ("mlartifacts", "mlruns")  # pictures of earlier runs
    for folder in folders:
        touch(tmp_path, f"c0/{folder}/deep/thumb.jpg", f"c0/{folder}/two.jpg")
    files = ("Thumbs.db", "THUMBS.DB", "desktop.ini", "._one.jpg", ".DS_Store", ".hidden.jpg")
    touch(tmp_path, "c0/one.jpg", *(f"c1/{file}" for file in files))
    names, left_out = list_images(tmp_path)
    assert names == ["c0/one.jpg"]
    tops = {f"c0/{folder.partition('/')[0]}" for folder in folders}
    assert {item.name for item in left_out} == tops | {f"c1/{file}" for file in files}
    assert {item.kind for item in left_out} == {"system"}


def test_names_like_those_of_systems_are_ordinary(tmp_path):
    names = ["eaDir/1.jpg", "recycle/1.jpg", "snapshot/1.jpg", "thumbs/1.jpg", "tmp/1.jpg"]
    touch(tmp_path, *names)
    assert list_images(tmp_path) == (names, [])


def test_links_are_followed_without_cycles(tmp_path):
    touch(tmp_path, "root/a/one.jpg", "elsewhere/two.jpg")
    (tmp_path / "root/a/loop").symlink_to(tmp_path / "root")
    (tmp_path / "root/b").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "root/a/broken.jpg").symlink_to(tmp_path / "nowhere.jpg")
    (tmp_path / "root/a/broken").symlink_to(tmp_path / "nowhere")
    os.mkfifo(tmp_path / "root/pipe.jpg")
    (tmp_path / "root/a/pipe.jpg").symlink_to(tmp_path / "root/pipe.jpg")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "root/s"))
        names, left_out = list_images(tmp_path / "root")
    assert names == ["a/broken.jpg", "a/one.jpg", "b/two.jpg"]
    assert kinds(left_out) == {
        "a/broken": ("other", "no such file or directory"),
        "a/loop": ("other", "a link to a folder that contains it"),
        "a/pipe.jpg": ("other", "not a regular file"),
        "pipe.jpg": ("other", "not a regular file"),
        "s": ("other", "not a regular file"),
    }


def test_links_that_are_not_followed_are_counted(tmp_path):
    touch(tmp_path, "root/a/one.jpg", "out/two.jpg")
    (tmp_path / "root/out").symlink_to(tmp_path / "out")
    (tmp_path / "root/link.jpg").symlink_to(tmp_path / "out/two.jpg")
    names, left_out = walk(tmp_path / "root", follow_links=False)
    assert names == ["a/one.jpg"]
    assert left_out == [LeftOut("link.jpg", "other", LINK), LeftOut("out", "other", LINK)]


def test_links_to_themselves(tmp_path):
    touch(tmp_path, "a/one.jpg")
    (tmp_path / "a/loop").symlink_to("loop")
    (tmp_path / "a/here").symlink_to("there")
    (tmp_path / "a/there").symlink_to("here")
    (tmp_path / "a/self.jpg").symlink_to("self.jpg")
    names, left_out = list_images(tmp_path)
    assert names == ["a/one.jpg", "a/self.jpg"]
    assert {item.detail for item in left_out} == {"too many levels of symbolic links"}
    assert [item.name for item in left_out] == ["a/here", "a/loop", "a/there"]


def test_file_names_that_are_not_utf8(tmp_path):
    touch(tmp_path, "a/one.jpg", os.fsdecode(b"a/caf\xe9.txt"))
    names, left_out = list_images(tmp_path)
    assert names == ["a/one.jpg"]
    assert [item.name for item in left_out] == [r"a/caf\udce9.txt"]
    touch(tmp_path, os.fsdecode(b"a/caf\xe9.jpg"))
    with pytest.raises(BenchError, match="not valid UTF-8; rename it"):
        list_images(tmp_path)
    assert os.fsdecode(b"a/caf\xe9.jpg") in walk(tmp_path)[0]


UNPRIVILEGED = """
    import os, sys
    from pathlib import Path
    from outliers_bench.data.listing import list_images
    from outliers_bench.errors import BenchError

    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)
    try:
        print(list_images(Path(sys.argv[1])))
    except BenchError as error:
        print(error)
"""


def test_files_and_folders_that_cannot_be_read(tmp_path):
    """Nothing is passed over: an unreadable folder is an error, a file is counted."""
    root = tmp_path / "root"
    touch(root, "a/one.jpg", "a/secret", "b/two.jpg", data=picture())
    (root / "a/secret").chmod(0)
    command = [sys.executable, "-c", textwrap.dedent(UNPRIVILEGED), "."]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert "(['a/one.jpg', 'b/two.jpg'], [LeftOut(name='a/secret', kind='other'," in done.stdout
    assert "permission denied" in done.stdout
    (root / "b").chmod(0)
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    (root / "b").chmod(0o755)
    assert done.stdout.strip() == "b cannot be listed: permission denied"
