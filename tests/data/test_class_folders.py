"""`data=folder`: class folders."""

from collections import Counter

import pytest

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.splits.options import Protocol
from outliers_bench.errors import InaccessibleImageError
from tests.data.sources import fails, load


def test_name_and_classes_are_the_folders(photos, tmp_path):
    split = load(ClassFolders(root=str(photos)), tmp_path)
    assert split.name == "photos"
    assert split.train.classes == ("class_000", "class_001", "class_002")
    assert (len(split.train), len(split.query), len(split.gallery)) == (21, 6, 3)
    assert load(ClassFolders(root=str(photos), name="mine"), tmp_path).name == "mine"
    leave_one_out = load(ClassFolders(root=str(photos), protocol=Protocol.leave_one_out), tmp_path)
    assert len(leave_one_out.query) == 30


def test_excluded_images_are_counted(photos, tmp_path):
    one = next((photos / "class_000").rglob("*.png"))
    (photos / "class_000/copy.png").write_bytes(one.read_bytes())
    other = next((photos / "class_001").rglob("*.png"))
    (photos / "class_002/wrong.png").write_bytes(other.read_bytes())
    (photos / "class_000/empty.png").touch()
    split = load(ClassFolders(root=str(photos), max_unreadable=0.1), tmp_path)
    assert Counter(item.kind for item in split.left_out) == {
        "unreadable": 1,
        "duplicate": 1,
        "conflicting_labels": 2,
    }
    assert len(split.train) + len(split.query) + len(split.gallery) == 29
    fails(
        ClassFolders(root=str(photos)),
        tmp_path,
        r"1 of 33 images \(3\.0%\) cannot be read, more than the 1\.0% allowed "
        r"\(class_000/empty\.png: is empty\)\. .*data\.max_unreadable=0\.031$",
    )


def test_unsupported_images_are_listed(photos, tmp_path):
    before = load(ClassFolders(root=str(photos)), tmp_path)
    for i in range(6):
        (photos / f"class_000/raw_{i}.nef").write_bytes(b"x")
    # They are more than max_unreadable allows, but do not count.
    split = load(ClassFolders(root=str(photos)), tmp_path)
    assert split.fingerprint == before.fingerprint
    assert Counter(item.kind for item in split.left_out) == {"unsupported": 6}
    assert split.left_out[0].name == "class_000/raw_0.nef"

    for file in photos.rglob("*.png"):
        if "class_001" not in file.parts:
            file.unlink()
    hint = r"; it contains 6 files of an unsupported format, first .*raw_0\.nef \(camera raw is .*"
    fails(ClassFolders(root=str(photos)), tmp_path, "only one class folder, 'class_001', .*" + hint)
    for file in photos.rglob("*.png"):
        file.unlink()
    fails(ClassFolders(root=str(photos)), tmp_path, "no images in this folder" + hint)


def test_file_overwritten_after_loading_is_refused(photos, tmp_path):
    split = load(ClassFolders(root=str(photos)), tmp_path)
    name, other = split.query.names[:2]
    assert split.query.read(0).shape == (8, 8, 3)
    (photos / name).write_bytes((photos / other).read_bytes())
    with pytest.raises(InaccessibleImageError, match=f"^{name}: changed during the run$"):
        split.query.read(0)
    assert split.query.read(1).shape == (8, 8, 3)


def test_class_folder_errors(photos, tmp_path):
    fails(ClassFolders(root="no/such"), tmp_path, "data.root=no/such: there is no such folder")
    (tmp_path / "empty").mkdir()
    fails(ClassFolders(root=str(tmp_path / "empty")), tmp_path, "no images in this folder$")
    image = next(photos.rglob("*.png"))
    fails(ClassFolders(root=str(image)), tmp_path, "is a file; give the folder")
    # The parent folder has a single "class", a common mistake with unpacked archives.
    fails(
        ClassFolders(root=str(tmp_path)),
        tmp_path,
        f"only one class folder, 'photos', .*use data.root={tmp_path}/photos",
    )
    (photos / "loose.png").write_bytes(image.read_bytes())
    fails(ClassFolders(root=str(photos)), tmp_path, r"1 images, loose\.png first, are next to")
    fails(ClassFolders(root=str(photos), train=1.0), tmp_path, r"data\.train=1\.0")
    fails(ClassFolders(root=str(photos), query=0.0), tmp_path, r"data\.query=0\.0")


def test_ready_made_split_is_detected(photos, tmp_path):
    (photos / "class_000").rename(photos / "query")
    (photos / "class_001").rename(photos / "gallery")
    (photos / "class_002").rename(photos / "train")
    fails(ClassFolders(root=str(photos)), tmp_path, "a ready-made split; use data=prepared")


def test_every_image_has_two_labels(photos, tmp_path):
    for number, file in enumerate(sorted(photos.rglob("*.png"))):
        copy = photos / "masks" / f"{number}.png"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(file.read_bytes())
    match = "all 60 images are excluded, class_000/.* first: it is 'class_000' here and 'masks' as"
    fails(ClassFolders(root=str(photos)), tmp_path, match)
