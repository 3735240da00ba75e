"""Labels of images in deeper trees and in names of files."""

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.prepared import PreparedFolders
from tests.data.layouts import CLASSES, labels, parts, write
from tests.data.sources import fails, load


def test_label_of_a_deeper_tree(tmp_path):
    root = write(
        tmp_path / "r",
        *(
            f"site{s}/cam{c}/{label}/{s}{c}{i}.jpg"
            for s in "12"
            for c in "ab"
            for label in CLASSES
            for i in range(2)
        ),
    )
    assert load(ClassFolders(root=str(root)), tmp_path).gallery.classes == ("site1", "site2")
    for depth in (3, -1):
        split = load(ClassFolders(root=str(root), label_depth=depth, train=0), tmp_path)
        images = labels(split.query) | labels(split.gallery)
        assert len(images) == 16
        assert all(name.split("/")[2] == label for name, label in images.items())
    write(root, "site1/loose.jpg", "site1/cama/loose.jpg")
    fails(
        ClassFolders(root=str(root), label_depth=3),
        tmp_path,
        r"2 of 18 images have no label, first site1/cama/loose\.jpg: there is no folder number 3 "
        r"\(data\.label_depth\); data\.exclude leaves images out",
    )
    split = load(ClassFolders(root=str(root), label_depth=3, exclude=["loose.jpg"]), tmp_path)
    assert split.gallery.classes == CLASSES


def test_label_in_the_name(tmp_path):
    names = [f"{c}_{camera}_{i}.jpg" for c in CLASSES for camera in "xy" for i in range(3)]
    root = write(tmp_path / "r", *names)
    fails(ClassFolders(root=str(root)), tmp_path, "next to the class folders; .*data.label_pattern")
    source = ClassFolders(
        root=str(root), label_pattern=r"(?P<label>[a-z]+)_(?P<camera>[a-z])_(?P<group>\d)", train=0
    )
    split = load(source, tmp_path)
    found = labels(split.query) | labels(split.gallery)
    assert all(name.startswith(label) for name, label in found.items())
    assert len(found) == 12
    for images in (split.query, split.gallery):
        assert images.columns["camera"].tolist() == [name.split("_")[1] for name in images.names]
    assert not set(split.query.groups) & set(split.gallery.groups)
    assert set(split.query.groups) | set(split.gallery.groups) == {
        f"{label}/{number}" for label in CLASSES for number in "012"
    }
    write(root, "readme-figure.jpg")
    fails(source, tmp_path, r"1 of 13 images have no label, first readme-figure\.jpg: .* not match")
    one = ClassFolders(root=str(root), label_pattern=r"\.(jpg)")
    fails(one, tmp_path, "all images have the label 'jpg'")


def test_label_pattern_of_a_prepared_split(tmp_path):
    """The layout of Market-1501."""
    names = [f"{n:04}_c{c}s1_{i:06}_00.jpg" for n in (2, 7) for c in (1, 2) for i in (1, 2)]
    folders = ("bounding_box_train", "bounding_box_test", "query")
    root = write(tmp_path / "r", *(f"{f}/{name}" for f in folders for name in names))
    source = PreparedFolders(root=str(root), label_pattern=r"(?P<label>-?\d+)_c(?P<camera>\d)")
    split = load(source, tmp_path)
    assert split.labeled
    assert split.query.classes == ("0002", "0007")
    assert split.query.columns["camera"].tolist() == list("1122" * 2)
    write(root, "query/odd.jpg")
    fails(source, tmp_path, r"1 of 1 images have no label, first query/odd\.jpg")


def test_group_in_two_parts(tmp_path):
    root = parts(tmp_path / "r", "query", "gallery")
    source = PreparedFolders(root=str(root), label_pattern=r"/(?P<label>\w+)/(?P<group>\d)")
    fails(
        source,
        tmp_path,
        r"are of the group 'cat/0', and in two parts; a group belongs in one part$",
    )


def test_prepared_labels_at_another_depth(tmp_path):
    root = write(
        tmp_path / "r",
        *(
            f"{p}/cam{c}/{label}/{i}.jpg"
            for p in ("query", "gallery")
            for c in "ab"
            for label in CLASSES
            for i in range(2)
        ),
    )
    split = load(PreparedFolders(root=str(root), label_depth=2), tmp_path)
    assert all(name.split("/")[2] == label for name, label in labels(split.gallery).items())
    assert len(split.gallery) == 8
