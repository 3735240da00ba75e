"""What each source makes of what it is given, and what it says of what it cannot use."""

import gzip
import pickle
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf

from outliers_bench.data import silhouettes
from outliers_bench.data.array_pickle import read_array
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.silhouettes import Silhouettes
from outliers_bench.data.source import check_unreadable
from outliers_bench.data.split import Protocol
from outliers_bench.data.synthetic import Label, Synthetic, write
from outliers_bench.errors import BenchError, InaccessibleImageError
from outliers_bench.types import LeftOut


@pytest.fixture
def photos(tmp_path):
    """Three classes of ten small pictures, as class folders."""
    write(Synthetic(classes=3, individuals=2, images=5, size=8), tmp_path / "photos")
    return tmp_path / "photos"


def load(source, tmp_path, seed=0):
    return source.load(seed=seed, cache=tmp_path / "cache")


def fails(source, tmp_path, match):
    with pytest.raises(BenchError, match=match) as error:
        load(source, tmp_path)
    assert "\n" not in str(error.value)


# Class folders


def test_folder_takes_its_name_and_classes_from_the_first_level(photos, tmp_path):
    split = load(ClassFolders(root=str(photos)), tmp_path)
    assert split.name == "photos"
    assert split.train.classes == ("class_000", "class_001", "class_002")
    assert (len(split.train), len(split.query), len(split.gallery)) == (21, 6, 3)
    assert load(ClassFolders(root=str(photos), name="mine"), tmp_path).name == "mine"
    everything = load(ClassFolders(root=str(photos), protocol=Protocol.leave_one_out), tmp_path)
    assert len(everything.query) == 30


def test_folder_counts_what_it_leaves_out(photos, tmp_path):
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


def test_folder_names_what_it_does_not_read(photos, tmp_path):
    before = load(ClassFolders(root=str(photos)), tmp_path)
    for i in range(6):
        (photos / f"class_000/phone_{i}.heic").write_bytes(b"x")
    # They are more than max_unreadable allows, and do not count.
    split = load(ClassFolders(root=str(photos)), tmp_path)
    assert split.fingerprint == before.fingerprint
    assert Counter(item.kind for item in split.left_out) == {"unsupported": 6}
    assert split.left_out[0].name == "class_000/phone_0.heic"

    for file in photos.rglob("*.png"):
        if "class_001" not in file.parts:
            file.unlink()
    hint = r"; there are 6 \.heic files, which are not read here: convert them to JPEG$"
    fails(ClassFolders(root=str(photos)), tmp_path, "one class folder only, 'class_001', .*" + hint)
    for file in photos.rglob("*.png"):
        file.unlink()
    fails(ClassFolders(root=str(photos)), tmp_path, r"no images in this folder \(\.bmp.*" + hint)


def test_a_file_overwritten_after_loading_is_not_taken_for_what_it_was(photos, tmp_path):
    split = load(ClassFolders(root=str(photos)), tmp_path)
    name, other = split.query.names[:2]
    assert split.query.read(0).shape == (8, 8, 3)
    (photos / name).write_bytes((photos / other).read_bytes())
    with pytest.raises(InaccessibleImageError, match=f"^{name}: changed while the run was going$"):
        split.query.read(0)
    assert split.query.read(1).shape == (8, 8, 3)


def test_folder_errors(photos, tmp_path):
    fails(ClassFolders(root="no/such"), tmp_path, "data.root=no/such: there is no such folder")
    (tmp_path / "empty").mkdir()
    fails(ClassFolders(root=str(tmp_path / "empty")), tmp_path, r"no images in this folder \(\.bmp")
    image = next(photos.rglob("*.png"))
    fails(ClassFolders(root=str(image)), tmp_path, "is a file; give the folder")
    # The folder above: a single "class", the usual mistake with an unpacked archive.
    fails(
        ClassFolders(root=str(tmp_path)),
        tmp_path,
        f"one class folder only, 'photos', .*use data.root={tmp_path}/photos",
    )
    (photos / "loose.png").write_bytes(image.read_bytes())
    fails(ClassFolders(root=str(photos)), tmp_path, r"1 images, loose\.png first, lie beside")
    fails(ClassFolders(root=str(photos), train=1.0), tmp_path, r"data\.train=1\.0")
    fails(ClassFolders(root=str(photos), query=0.0), tmp_path, r"data\.query=0\.0")


def test_folder_knows_a_ready_made_split(photos, tmp_path):
    (photos / "class_000").rename(photos / "query")
    (photos / "class_001").rename(photos / "gallery")
    (photos / "class_002").rename(photos / "train")
    fails(ClassFolders(root=str(photos)), tmp_path, "a ready-made split; use data=prepared")


# Ready-made folders


@pytest.fixture
def prepared(photos, tmp_path):
    """The pictures of each class dealt out to train (0-2), query (3) and gallery (4)."""
    root = tmp_path / "prepared"
    for file in photos.rglob("*.png"):
        kind, individual, name = file.relative_to(photos).parts
        part = {"0003": "query", "0004": "gallery"}.get(file.stem, "train")
        target = root / part / kind / f"{individual}_{name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(file.read_bytes())
    return root


def flatten(folder):
    for file in list(folder.rglob("*.png")):
        file.rename(folder / f"{file.parent.name}_{file.name}")
    for child in folder.iterdir():
        if child.is_dir():
            child.rmdir()


def test_prepared_takes_the_parts_as_they_are(prepared, tmp_path):
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


def test_prepared_without_labels_ranks_every_query_even_if_the_gallery_has_it(prepared, tmp_path):
    flatten(prepared / "query")
    flatten(prepared / "gallery")
    one = sorted((prepared / "query").iterdir())[0]
    (prepared / "gallery/same.png").write_bytes(one.read_bytes())
    (prepared / "train/class_000/same.png").write_bytes(one.read_bytes())
    split = load(PreparedFolders(root=str(prepared)), tmp_path)
    assert not split.labeled
    assert (len(split.train), len(split.query), len(split.gallery)) == (19, 6, 7)
    assert split.train.labels is not None
    assert split.left_out == ()


def test_prepared_copies_stay_once_in_each_part(prepared, tmp_path):
    one = sorted((prepared / "query/class_000").iterdir())[0]
    for part in ("query", "gallery", "train"):
        (prepared / part / "class_000/same.png").write_bytes(one.read_bytes())
    split = load(PreparedFolders(root=str(prepared)), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (19, 6, 7)
    assert [item.name for item in split.left_out] == ["query/class_000/same.png"]


def test_prepared_names_what_it_does_not_read(prepared, tmp_path):
    (prepared / "query/class_000/phone.heic").write_bytes(b"x")
    (prepared / "train/raw.nef").write_bytes(b"x")
    split = load(PreparedFolders(root=str(prepared)), tmp_path)
    assert [(item.name, item.kind) for item in split.left_out] == [
        ("train/raw.nef", "unsupported"),
        ("query/class_000/phone.heic", "unsupported"),
    ]
    for file in (prepared / "query").rglob("*.png"):
        file.unlink()
    fails(
        PreparedFolders(root=str(prepared)),
        tmp_path,
        r"no images in query; there are 1 \.heic file",
    )


def test_prepared_errors(prepared, tmp_path):
    source = PreparedFolders(root=str(prepared))
    flatten(prepared / "gallery")
    fails(source, tmp_path, "query has labels and gallery has none; label both .* or neither")
    (prepared / "query/loose.png").write_bytes(b"x")
    fails(source, tmp_path, r"query has images in class folders and 1 beside .*query/loose\.png")
    (prepared / "train/loose.png").write_bytes(b"x")
    fails(source, tmp_path, r"train/loose\.png lies in no class folder")
    (prepared / "train/loose.png").unlink()
    (prepared / "query").rename(prepared / "queries")
    fails(source, tmp_path, "there is no folder query in it; data=prepared needs query and gallery")
    (prepared / "query").mkdir()
    fails(source, tmp_path, "no images in query")
    fails(PreparedFolders(root="no/such"), tmp_path, "there is no such folder")


def test_prepared_of_one_class_is_no_benchmark(prepared, tmp_path):
    for name in ("class_001", "class_002"):
        for file in (prepared / "gallery" / name).iterdir():
            file.unlink()
    fails(PreparedFolders(root=str(prepared)), tmp_path, "gallery: all images are of one class")


# Manifest


@pytest.fixture
def table(photos):
    """A frame of all pictures; labels that look like numbers."""
    files = sorted(photos.rglob("*.png"))
    return pd.DataFrame(
        {
            "path": [file.relative_to(photos).as_posix() for file in files],
            "label": [f"00{file.parts[-3][-1]}" for file in files],
        }
    )


def manifest(table, photos, suffix=".csv", **options):
    file = photos / f"table{suffix}"
    if suffix == ".parquet":
        table.to_parquet(file)
    else:
        table.to_csv(file, index=False, sep="\t" if suffix == ".tsv" else ",")
    return Manifest(path=str(file), **options)


@pytest.mark.parametrize("suffix", [".csv", ".tsv", ".parquet"])
def test_manifest_without_split_is_cut_like_folders(table, photos, tmp_path, suffix):
    split = load(manifest(table, photos, suffix), tmp_path)
    assert split.name == "table"
    assert split.train.classes == ("000", "001", "002")
    other = load(ClassFolders(root=str(photos)), tmp_path)
    for part in ("train", "query", "gallery"):
        assert set(getattr(split, part).digests) == set(getattr(other, part).digests)


def test_manifest_root_and_text_as_it_stands(table, photos, tmp_path):
    table["label"] = table["label"].replace({"000": "NA", "001": "1.0"})
    file = tmp_path / "elsewhere.csv"
    # As spreadsheets write it: a byte order mark, and a column nobody asked for.
    table.assign(note="é").to_csv(file, index=False, encoding="utf-8-sig")
    split = load(Manifest(path=str(file), root=str(photos)), tmp_path)
    assert split.train.classes == ("002", "1.0", "NA")
    table["path"] = [str(photos / path) for path in table["path"]]
    table.to_csv(file, index=False)
    assert load(Manifest(path=str(file)), tmp_path).fingerprint == split.fingerprint


def test_manifest_numbers_in_parquet_become_text(table, photos, tmp_path):
    table["label"] = table["label"].astype(int)
    table["group"] = pd.array([7, None] * 15, dtype="Int64")
    split = load(manifest(table, photos, ".parquet"), tmp_path)
    assert split.train.classes == ("0", "1", "2")
    groups = [set(part.groups) for part in (split.train, split.query, split.gallery)]
    assert sum("7" in part for part in groups) == 1
    assert sum(map(len, groups)) == 16


def test_manifest_split_column(table, photos, tmp_path):
    table["split"] = ["train", "train", "query", "gallery", "gallery"] * 6
    split = load(manifest(table, photos), tmp_path)
    assert (len(split.train), len(split.query), len(split.gallery)) == (12, 6, 12)
    table.loc[table["split"] != "train", "label"] = None
    split = load(manifest(table, photos), tmp_path)
    assert not split.labeled
    assert split.train.labels is not None


def test_manifest_groups_stay_together(table, photos, tmp_path):
    table["group"] = [path.rpartition("/")[0] for path in table["path"]]
    split = load(manifest(table, photos), tmp_path)
    where = [set(getattr(split, part).groups) for part in ("train", "query", "gallery")]
    assert sum(map(len, where)) == 6
    fails(manifest(table, photos, protocol=Protocol.leave_one_out), tmp_path, "find each other")
    table["split"] = ["query", "gallery", "gallery", "gallery", "gallery"] * 6
    fails(
        manifest(table, photos),
        tmp_path,
        r"group 'class_000/individual_000' stands in query \(row 1\) and in gallery \(row 2\)",
    )


def test_manifest_missing_files_are_counted(table, photos, tmp_path):
    table.loc[3, "path"] = "gone.png"
    split = load(manifest(table, photos, max_unreadable=0.1), tmp_path)
    assert [(item.name, item.kind) for item in split.left_out] == [("gone.png", "unreadable")]
    table["path"] = "not/" + table["path"]
    fails(
        manifest(table, photos, max_unreadable=0.1),
        tmp_path,
        r"30 of 30 images \(100\.0%\).*not/class_000.*; \.\.\.\)",
    )


def test_manifest_errors(table, photos, tmp_path):
    fails(Manifest(path="no/such.csv"), tmp_path, r"data\.path=no/such\.csv: there is no such file")
    (tmp_path / "table.xlsx").touch()
    fails(Manifest(path=str(tmp_path / "table.xlsx")), tmp_path, r"named \.csv, \.tsv or \.parquet")
    for suffix in (".csv", ".parquet"):
        (tmp_path / f"bad{suffix}").write_bytes(b"\xff\xfe\x00broken")
        fails(Manifest(path=str(tmp_path / f"bad{suffix}")), tmp_path, "cannot be read as a table")
    (tmp_path / "void.csv").touch()
    fails(Manifest(path=str(tmp_path / "void.csv")), tmp_path, "cannot be read as a table")
    fails(manifest(table[:0], photos), tmp_path, "has no rows")
    fails(
        manifest(table.rename(columns={"label": "class"}), photos),
        tmp_path,
        "has no column label; it has path, class. Needed: path, label. Optional: split, group",
    )
    fails(manifest(table, photos, root="no/such"), tmp_path, r"data\.root=no/such")
    fails(manifest(table, photos, train=-1.0), tmp_path, r"data\.train=-1\.0")

    wrong = table.assign(split=["train", "query", "gallery", "test", "val", "train"] * 5)
    fails(manifest(wrong, photos), tmp_path, r"not in row 4 \('test'\), 5 \('val'\), .* and 5 more")
    ready = table.assign(split=["train", "query", "gallery"] * 10)
    fails(manifest(ready, photos, protocol=Protocol.leave_one_out), tmp_path, "has a column split")
    holes = table.copy()
    holes.loc[[4, 7], "label"] = None
    fails(manifest(holes, photos), tmp_path, r"row 5 \(class_000/individual_000/0004\.png\) has no")
    holes = ready.copy()
    holes.loc[1, "label"] = None
    fails(manifest(holes, photos), tmp_path, "row 2 .* has no label; labels may be empty only")
    holes = table.copy()
    holes.loc[2, "path"] = None
    fails(manifest(holes, photos), tmp_path, "row 3 has no path")
    fails(manifest(ready[ready["split"] != "query"], photos), tmp_path, "there are no images in q")


# Silhouettes


@pytest.mark.extra("demo")
def test_silhouettes_are_ten_animals_less_their_copies(tmp_path):
    split = load(Silhouettes(), tmp_path)
    assert split.name == "silhouettes"
    assert Counter(item.kind for item in split.left_out) == {"duplicate": 284}
    assert len(split.train) + len(split.query) + len(split.gallery) == 9716
    assert split.train.classes[0] == "bear"
    assert split.train.classes[-1] == "zebra"
    image = split.train.read(0)
    assert image.shape == (28, 28, 3)
    # White on black, as in the package.
    assert image[0].mean() < 50 < image.max()


def test_silhouettes_without_the_package(tmp_path, monkeypatch):
    silhouettes._arrays.cache_clear()
    monkeypatch.setattr(silhouettes, "find_spec", lambda name: None)
    fails(Silhouettes(), tmp_path, "python -m pip install animal-mnist==")


class Evil:
    def __reduce__(self):
        return (Path.touch, (Path("pwned"),))


@pytest.mark.parametrize(
    "content",
    [
        Evil(),
        [np.zeros(3), Evil()],
        np.array([{}, "objects"], dtype=object),
        {"not": "an array"},
        np.array(["text"]),
    ],
    ids=["code", "code in a list", "objects", "a dict", "text"],
)
def test_a_pickle_of_anything_but_numbers_is_refused(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "data.gz"
    file.write_bytes(gzip.compress(pickle.dumps(content)))
    with pytest.raises(BenchError, match="is refused"):
        read_array(file)
    assert not (tmp_path / "pwned").exists()


def test_array_pickles_are_read(tmp_path):
    array = np.arange(12, dtype=np.int16).reshape(3, 4)
    for protocol in (3, 4):
        file = tmp_path / "data.gz"
        file.write_bytes(gzip.compress(pickle.dumps(array, protocol=protocol)))
        np.testing.assert_array_equal(read_array(file), array)
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(BenchError, match=r"refused|cannot be read"):
        read_array(file)
    with pytest.raises(BenchError, match="cannot be read"):
        read_array(tmp_path / "gone.gz")


# Synthetic


def test_synthetic_pictures_are_what_their_names_say(tmp_path):
    source = Synthetic(classes=3, individuals=2, images=2, size=24)
    images = source.pictures()
    assert len(images) == 12
    assert images.names[-1] == "class_002/individual_001/0001"
    for row in (0, 11):
        assert images.read(row).shape == (24, 24, 3)
        np.testing.assert_array_equal(images.read(row), source.pictures().read(row))
    pixels = {images.read(row).tobytes() for row in range(12)}
    assert len(pixels) == len(set(images.digests)) == 12
    # A larger set holds the smaller one; another seed, size or noise gives other pictures.
    larger = Synthetic(classes=5, individuals=3, images=4, size=24).pictures()
    assert set(images.digests) < set(larger.digests)
    for other in ({"generator_seed": 1}, {"size": 25}, {"noise": 0.1}):
        options = {"classes": 3, "individuals": 2, "images": 2, "size": 24} | other
        assert not set(images.digests) & set(Synthetic(**options).pictures().digests)


def test_synthetic_labels(tmp_path):
    assert len(load(Synthetic(), tmp_path).train.classes) == 10
    split = load(Synthetic(label=Label.individual), tmp_path)
    assert len(split.train.classes) == 40
    assert split.train.classes[0] == "class_000/individual_000"


def test_synthetic_is_neither_trivial_nor_impossible():
    images = Synthetic(classes=8, individuals=2, images=8, size=32).pictures()
    pixels = np.stack([images.read(row).ravel() for row in range(len(images))]).astype(float)
    pixels -= pixels.mean(1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    alike = pixels @ pixels.T
    np.fill_diagonal(alike, -1)
    hits = (images.labels[alike.argmax(1)] == images.labels).mean()
    assert 2 / 8 < hits < 0.8


def test_synthetic_files_hold_the_same_pictures(tmp_path):
    source = Synthetic(classes=2, individuals=1, images=3, size=16)
    files = write(source, tmp_path / "files")
    split = load(ClassFolders(root=str(tmp_path / "files")), tmp_path)
    by_name = {name: row for row, name in enumerate(source.pictures().names)}
    for row, name in enumerate(split.train.names):
        drawn = source.pictures().read(by_name[name.removesuffix(".png")])
        np.testing.assert_array_equal(split.train.read(row), drawn)
    assert len(files) == 6


def test_synthetic_errors(tmp_path):
    fails(Synthetic(classes=0), tmp_path, r"data\.classes=0: give 1 or more")
    fails(Synthetic(size=-3), tmp_path, r"data\.size=-3: give 1 or more")
    fails(Synthetic(noise=2.0), tmp_path, r"data\.noise=2\.0: give a number from 0 to 1")
    fails(Synthetic(classes=1), tmp_path, "all images are of one class")
    load(Synthetic(classes=2, size=1), tmp_path)


# All


def test_check_unreadable_counts_only_the_unreadable():
    lost = [LeftOut(f"{i}.jpg", "unreadable", f"{i}.jpg: is empty") for i in range(5)]
    copies = [LeftOut(f"c{i}.jpg", "duplicate", "x") for i in range(50)]
    check_unreadable(lost + copies, total=500, limit=0.01)
    with pytest.raises(
        BenchError, match=r"5 of 499 images .*\(0\.jpg: is empty; 1\.jpg: is empty; 2.*; \.\.\.\)"
    ):
        check_unreadable(lost, total=499, limit=0.01)


@pytest.mark.parametrize(
    ("lost", "total", "advice"),
    [
        (1, 40, "or allow more with data.max_unreadable=0.025"),
        (1, 3, "or allow more with data.max_unreadable=0.334"),
        (29, 100, "or allow more with data.max_unreadable=0.29"),
        (1, 10**6, "or allow more with data.max_unreadable=0.001"),
        (999, 1000, "or allow more with data.max_unreadable=0.999"),
        (3, 3, "Mend or remove them"),
    ],
)
def test_check_unreadable_names_a_share_that_would_do(lost, total, advice):
    left_out = [LeftOut(f"{i}.jpg", "unreadable", "is empty") for i in range(lost)]
    with pytest.raises(BenchError) as error:
        check_unreadable(left_out, total=total, limit=0)
    assert str(error.value).endswith(advice)
    if "=" in advice:
        check_unreadable(left_out, total=total, limit=float(advice.rpartition("=")[2]))


def test_check_unreadable_does_not_count_kinds_that_are_not_read():
    left_out = [LeftOut(f"{i}.heic", "unsupported", "x") for i in range(90)]
    check_unreadable(left_out, total=100, limit=0)
    left_out.append(LeftOut("0.jpg", "unreadable", "is empty"))
    with pytest.raises(BenchError, match=r"1 of 10 images \(10\.0%\)"):
        check_unreadable(left_out, total=100, limit=0.01)


SOURCES = (ClassFolders, Manifest, PreparedFolders, Silhouettes, Synthetic)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_of_unreadable_images_out_of_range(source, share, tmp_path):
    # Said before any file is looked for.
    fails(source(max_unreadable=share), tmp_path, rf"data\.max_unreadable={share}: give a share fr")


@pytest.mark.parametrize("source", [ClassFolders, Manifest, Silhouettes, Synthetic])
def test_shares_are_checked_before_any_file_is_looked_for(source, tmp_path):
    fails(source(train=1.0), tmp_path, r"data\.train=1\.0")
    fails(source(query=0.0), tmp_path, r"data\.query=0\.0")


def test_titles_are_known_without_loading(tmp_path, monkeypatch):
    (tmp_path / "photos.v2").mkdir()
    (tmp_path / "latest").symlink_to("photos.v2")
    (tmp_path / "loop").symlink_to("loop")
    monkeypatch.chdir(tmp_path / "photos.v2")
    for source in (ClassFolders, PreparedFolders):
        assert source(root="somewhere/photos.v2/").title() == "photos.v2"
        assert source(root=".").title() == "photos.v2"
        assert source(root=str(tmp_path / "latest")).title() == "photos.v2"
        assert source(root="photos", name="mine").title() == "mine"
        for odd in ("/", "", "???", "a\0b/"):
            assert source(root=odd).title() in ("data", "a\0b")
        assert source(root=str(tmp_path / "loop")).title() in ("data", "loop")
        assert source(root="~no-one-of-this-name/x").title() == "x"
        assert source().title() == "data"
    assert Manifest(path="no/such/table.v2.csv").title() == "table.v2"
    assert Manifest().title() == "data"
    assert (Silhouettes().title(), Synthetic().title()) == ("silhouettes", "synthetic")
    assert Synthetic(name="drawn").title() == "drawn"


@pytest.mark.extra("demo")
def test_a_split_bears_the_title(photos, table, prepared, tmp_path):
    photos = photos.rename(tmp_path / "photos.v2")
    prepared = prepared.rename(tmp_path / "prepared.v2")
    for source in (
        ClassFolders(root=str(photos)),
        PreparedFolders(root=str(prepared)),
        manifest(table, photos),
        Silhouettes(),
        Synthetic(classes=2, size=2),
    ):
        assert load(source, tmp_path).name == source.title()
    assert ClassFolders(root=str(photos)).title() == "photos.v2"


CONF = Path(__file__).parents[2] / "conf" / "data"


@pytest.mark.parametrize(
    ("name", "source"),
    [
        ("folder", ClassFolders),
        ("prepared", PreparedFolders),
        ("manifest", Manifest),
        ("silhouettes", Silhouettes),
        ("synthetic", Synthetic),
    ],
)
def test_the_yaml_shows_every_option_with_its_default(name, source):
    written = OmegaConf.load(CONF / f"{name}.yaml")
    assert written.pop("defaults") == [{"/schema/data@_here_": name}, "_self_"]
    schema = OmegaConf.structured(source)
    assert set(written) == set(schema)
    assert OmegaConf.merge(schema, written, {"name": None}) == schema


@pytest.mark.extra("demo")
def test_no_source_loads_tensorflow_nor_a_decoder_before_it_is_needed(photos, tmp_path):
    script = f"""
import sys
from pathlib import Path
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.silhouettes import Silhouettes
from outliers_bench.data.synthetic import Synthetic
heavy = {{"tensorflow", "keras", "cv2", "pandas", "pyarrow", "animal_mnist"}}
assert not heavy & set(sys.modules), heavy & set(sys.modules)
for source in (ClassFolders(root={str(photos)!r}), Silhouettes(), Synthetic()):
    split = source.load(seed=0, cache=Path({str(tmp_path)!r}))
    assert not heavy & set(sys.modules), heavy & set(sys.modules)
    split.query.read(0)
    heavy.discard("cv2")
assert "tensorflow" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
