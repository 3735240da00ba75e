"""Requirements on every data source."""

import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from omegaconf import OmegaConf
from omegaconf.errors import ConfigKeyError

from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from outliers_bench.data.named.arrays import Cifar10
from outliers_bench.data.named.folders import Caltech101
from outliers_bench.data.named.source import Parts
from outliers_bench.data.prepared import PreparedFolders
from outliers_bench.data.silhouettes import Silhouettes
from outliers_bench.data.splits.options import Protocol
from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from outliers_bench.types import ITSELF, same
from tests.named_sets import cifar_records, write_files
from tests.toys import write_images

PARTS = ("train", "query", "gallery")
RECORD = 3073  # bytes of an image in CIFAR-10
SYNTHETIC = Synthetic(classes=4, individuals=2, images=6, size=12)


def folder(root):
    write_images(SYNTHETIC, root)
    first = next(root.rglob("*.png"))
    shutil.copy(first, first.with_name("duplicate.png"))
    return ClassFolders(root=str(root))


def prepared(root):
    write_images(SYNTHETIC, root / "all")
    for row, file in enumerate(sorted((root / "all").rglob("*.png"))):
        target = root / PARTS[row % 3] / file.parts[-3] / f"{file.parts[-2]}_{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    shutil.rmtree(root / "all")
    first = next((root / "query").rglob("*.png"))
    shutil.copy(first, root / "gallery" / first.parent.name / "duplicate.png")
    return PreparedFolders(root=str(root))


def manifest(root):
    folder(root)
    files = sorted(root.rglob("*.png"))
    rows = {
        "path": [str(f.relative_to(root)) for f in files],
        "label": [f.parts[-3] for f in files],
    }
    pd.DataFrame(rows).to_csv(root / "table.csv", index=False)
    return Manifest(path=str(root / "table.csv"))


def grouped_manifest(root):
    source = manifest(root)
    table = pd.read_csv(source.path)
    table["group"] = [f"{path[:24]}{i // 2}" for i, path in enumerate(table["path"])]
    table.to_csv(source.path, index=False)
    return source


def deeper_folder(root):
    """Class folders inside folders of sites."""
    folder(root / "all")
    for row, file in enumerate(sorted((root / "all").rglob("*.png"))):
        target = root / f"site{row % 2}" / file.parts[-3] / f"{file.parts[-2]}_{file.name}"
        target.parent.mkdir(parents=True, exist_ok=True)
        file.rename(target)
    shutil.rmtree(root / "all")
    return ClassFolders(root=str(root), label_depth=2)


def labels_in_names(root):
    folder(root / "all")
    for file in sorted((root / "all").rglob("*.png")):
        file.rename(root / "-".join(file.parts[-3:]))
    shutil.rmtree(root / "all")
    return ClassFolders(root=str(root), label_pattern="([^-]+)-")


def named(root):
    return Caltech101(root=folder(root).root)


def records(root):
    """CIFAR-10 with 48 images and one duplicate."""
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    files["data_batch_1.bin"] += files["data_batch_1.bin"][:RECORD]
    return write_files({**files, "test_batch.bin": cifar_records(8, 6)}, root)


SOURCES = {
    "folder": folder,
    "folder, deeper": deeper_folder,
    "folder, labels in names": labels_in_names,
    "prepared": prepared,
    "manifest": manifest,
    "manifest with groups": grouped_manifest,
    "silhouettes": lambda root: Silhouettes(),
    "synthetic": lambda root: SYNTHETIC,
    "a named set": named,
    "cifar10": lambda root: Cifar10(root=str(records(root))),
    "cifar10, official": lambda root: Cifar10(root=str(records(root)), parts=Parts.official),
}
N_DUPLICATES = {"silhouettes": 284, "synthetic": 0, "prepared": 0}
# In a ready-made split, a duplicate in another part is left to the audit.
N_LEAKS = {"prepared": 1}


@pytest.fixture(
    params=[
        pytest.param(name, marks=[pytest.mark.extra("demo")] if name == "silhouettes" else [])
        for name in SOURCES
    ]
)
def kind(request):
    return request.param


@pytest.fixture
def source(kind, tmp_path):
    return SOURCES[kind](tmp_path / "source")


@pytest.fixture
def load(tmp_path):
    return lambda source, seed=0: source.load(seed=seed, cache=tmp_path / "cache")


def test_split_depends_on_the_seed(kind, source, load):
    first, second, other_seed = load(source), load(source), load(source, seed=1)
    assert first.fingerprint == second.fingerprint
    for part in PARTS:
        assert getattr(first, part).names == getattr(second, part).names
    if kind == "prepared":
        assert other_seed.fingerprint == first.fingerprint
    else:
        assert other_seed.fingerprint != first.fingerprint


def test_parts_are_disjoint_and_every_query_has_relevant_images(kind, source, load):
    split = load(source)
    contents = [digest for part in PARTS for digest in getattr(split, part).digests]
    assert len(contents) == len(set(contents)) + N_LEAKS.get(kind, 0)
    assert all(len(digest) == 16 for digest in contents)
    assert split.labeled
    assert set(split.query.labels) <= set(split.gallery.labels)
    assert {getattr(split, part).classes for part in PARTS} == {split.gallery.classes}


def test_excluded_images_are_counted(kind, source, load):
    split = load(source)
    assert len(split.left_out) == N_DUPLICATES.get(kind, 1)
    assert {item.kind for item in split.left_out} <= {"duplicate"}
    n_excluded = N_DUPLICATES.get(kind, 1) + N_LEAKS.get(kind, 0)
    total = 10_000 if kind == "silhouettes" else 48 + n_excluded
    assert sum(len(getattr(split, part)) for part in PARTS) + len(split.left_out) == total


def test_every_image_decodes(source, load):
    split = load(source)
    for part in PARTS:
        images = getattr(split, part)
        for row in range(0, len(images), max(1, len(images) // 50)):
            pixels = images.read(row)
            assert pixels.dtype == np.uint8
            assert pixels.ndim == 3
            assert pixels.shape[2] == 3


def test_split_does_not_depend_on_names_and_order_of_files(kind, source, load, tmp_path):
    root = tmp_path / "source"
    if not root.exists():
        pytest.skip("has no files")
    before = load(source).fingerprint
    random = np.random.default_rng(0)
    new_names = {}
    for file in sorted(root.rglob("*.png")):
        # The class folder, and the folder of the part or site above it, stay.
        depth = 2 if kind in ("prepared", "folder, deeper") else 1
        folders = file.relative_to(root).parts[:-1][:depth]
        label = "" if folders else f"{file.name.partition('-')[0]}-"
        target = root.joinpath(*folders, f"{label}{random.integers(2**60)}.PNG")
        new_names[file.relative_to(root).as_posix()] = target.relative_to(root).as_posix()
        file.rename(target)
    if hasattr(source, "path"):
        table = pd.read_csv(source.path)
        table["path"] = table["path"].map(new_names)
        table.sample(frac=1, random_state=0).to_csv(source.path, index=False)
    assert load(source).fingerprint == before


def test_leave_one_out_works_or_is_refused(kind, source, load):
    if kind == "prepared":
        # A ready-made split has no such option, which Hydra reports.
        with pytest.raises(ConfigKeyError, match="Key 'protocol' not in 'PreparedFolders'"):
            OmegaConf.merge(OmegaConf.structured(source), {"protocol": "leave_one_out"})
        return
    if kind == "cifar10, official":
        with pytest.raises(BenchError, match=r"so there are no parts; use data\.parts=ours"):
            load(replace(source, protocol=Protocol.leave_one_out))
        return
    split = load(replace(source, protocol=Protocol.leave_one_out))
    assert split.excluded == (same("group") if kind == "manifest with groups" else ITSELF)
    assert split.query is split.gallery
    assert len(split.train) == 0
    assert len(split.query) == (9716 if kind == "silhouettes" else 48)


@pytest.mark.slow
def test_real_photos(shared, load):
    animals = load(ClassFolders(root=str(shared / "data" / "caltech101_animals")))
    assert len(animals.gallery.classes) == 36
    assert sum(len(getattr(animals, part)) for part in PARTS) == 2221
    packages = load(PreparedFolders(root=str(shared / "data" / "grocery_packages")))
    assert (len(packages.query), len(packages.gallery)) == (186, 186)
    for images in (animals.train, packages.query):
        for row in range(0, len(images), 20):
            assert images.read(row).shape[2] == 3
