"""`data=prepared`: ready-made splits."""

from outliers_bench.data.prepared import PreparedFolders
from tests.data.sources import fails, load


def remove_class_folders(folder):
    for file in list(folder.rglob("*.png")):
        file.rename(folder / f"{file.parent.name}_{file.name}")
    for child in folder.iterdir():
        if child.is_dir():
            child.rmdir()


def test_parts_are_used_as_given(prepared, tmp_path):
    split = load(PreparedFolders(root=str(prepared)), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (18, 6, 6)
    assert split.labeled
    assert split.query.names[0] == "query/class_000/individual_000_0003.png"
    assert split.query.read(0).shape == (8, 8, 3)
    assert load(PreparedFolders(root=str(prepared)), tmp_path, seed=9).fingerprint == (
        split.fingerprint
    )
    for file in (prepared / "train").rglob("*.png"):
        file.unlink()
    assert len(load(PreparedFolders(root=str(prepared)), tmp_path).train) == 0


def test_unlabeled_duplicates_across_parts_stay(prepared, tmp_path):
    remove_class_folders(prepared / "query")
    remove_class_folders(prepared / "gallery")
    one = sorted((prepared / "query").iterdir())[0]
    (prepared / "gallery/same.png").write_bytes(one.read_bytes())
    (prepared / "train/class_000/same.png").write_bytes(one.read_bytes())
    split = load(PreparedFolders(root=str(prepared)), tmp_path)
    assert not split.labeled
    assert (len(split.train), len(split.query), len(split.gallery)) == (19, 6, 7)
    assert split.train.labels is not None
    assert split.left_out == ()


def test_duplicates_stay_once_per_part(prepared, tmp_path):
    one = sorted((prepared / "query/class_000").iterdir())[0]
    for part in ("query", "gallery", "train"):
        (prepared / part / "class_000/same.png").write_bytes(one.read_bytes())
    split = load(PreparedFolders(root=str(prepared)), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (19, 6, 7)
    assert [item.name for item in split.left_out] == ["query/class_000/same.png"]


def test_unsupported_images_of_parts_are_listed(prepared, tmp_path):
    (prepared / "query/class_000/raw.nef").write_bytes(b"x")
    (prepared / "train/raw.nef").write_bytes(b"x")
    split = load(PreparedFolders(root=str(prepared)), tmp_path)
    assert [(item.name, item.kind) for item in split.left_out] == [
        ("query/class_000/raw.nef", "unsupported"),
        ("train/raw.nef", "unsupported"),
    ]
    for file in (prepared / "query").rglob("*.png"):
        file.unlink()
    fails(
        PreparedFolders(root=str(prepared)),
        tmp_path,
        r"no images in query; it contains 1 file of an unsupported format, first query",
    )


def test_prepared_errors(prepared, tmp_path):
    source = PreparedFolders(root=str(prepared))
    remove_class_folders(prepared / "gallery")
    fails(source, tmp_path, "query has labels and gallery has none; label both .* or neither")
    (prepared / "query/loose.png").write_bytes(b"x")
    fails(source, tmp_path, r"query has images in class folders and 1 next to .*query/loose\.png")
    (prepared / "train/loose.png").write_bytes(b"x")
    fails(source, tmp_path, r"train/loose\.png is not in a class folder")
    (prepared / "train/loose.png").unlink()
    (prepared / "query").rename(prepared / "found")
    fails(source, tmp_path, "there is no folder query in it; data=prepared needs query and gallery")
    (prepared / "query").mkdir()
    fails(source, tmp_path, "no images in query")
    fails(PreparedFolders(root="no/such"), tmp_path, "there is no such folder")


def test_prepared_with_one_class_is_refused(prepared, tmp_path):
    for name in ("class_001", "class_002"):
        for file in (prepared / "gallery" / name).iterdir():
            file.unlink()
    fails(PreparedFolders(root=str(prepared)), tmp_path, "gallery: all images are of one class")
