"""Named data sets: contents, metadata, and errors."""

import json
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.named.folders import ANIMALS
from outliers_bench.data.named.source import Parts
from outliers_bench.data.source import Leakage
from outliers_bench.data.splits.options import Protocol
from outliers_bench.errors import BenchError
from outliers_bench.leakage.policy import audit
from outliers_bench.tracking.datasets import split_datasets as mlflow_datasets
from tests.named_sets import MAKERS, N_IMAGES, Mirror, cifar_records, write_files
from tests.servers import serving

pytestmark = pytest.mark.usefixtures("short_pauses")


PARTS = ("train", "query", "gallery")


def size(split):
    return sum(len(getattr(split, part)) for part in PARTS)


@pytest.mark.parametrize("name", ["oxford_pets", "cifar10", "fashion_mnist"])
def test_official_parts(name, tmp_path):
    with serving(Mirror(MAKERS[name]())) as server:
        source = NAMED[name](url=server.url, verify=False, parts=Parts.official)
        split = source.load(seed=0, cache=tmp_path)
        other_seed = source.load(seed=1, cache=tmp_path)
    tests = {"oxford_pets": 8, "cifar10": 8, "fashion_mnist": 10}[name]
    assert len(split.query) + len(split.gallery) == tests
    assert len(split.train) == N_IMAGES[name] - tests
    assert other_seed.train.digests == split.train.digests
    assert other_seed.fingerprint != split.fingerprint
    if name == "fashion_mnist":
        assert {part.partition("/")[0] for part in split.train.names} == {"train"}
    with pytest.raises(BenchError, match=r"data\.parts=official with data\.protocol=leave_one_out"):
        replace(source, protocol=Protocol.leave_one_out).load(seed=0, cache=tmp_path)


def test_image_in_train_and_test_is_left_to_the_audit(tmp_path):
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    files["test_batch.bin"] = cifar_records(8, 6)[:-3073] + cifar_records(8, 1)[-3073:]
    write_files(files, tmp_path / "cifar")
    source = NAMED["cifar10"](root=str(tmp_path / "cifar"), parts=Parts.official)
    split = source.load(seed=0, cache=tmp_path)
    assert (len(split.train), len(split.query) + len(split.gallery)) == (40, 8)
    assert len({*split.train.digests, *split.query.digests, *split.gallery.digests}) == 47
    assert len(audit(split, Leakage.drop, cache=tmp_path).split.train) == 39


def test_pixels_of_cifar10_records(tmp_path):
    record = np.zeros(3073, np.uint8)
    record[0] = 3
    record[1 + 5] = 200  # red: first row, sixth column
    record[1 + 1024 + 32] = 100  # green: second row, first column
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(2, 6)}
    files["data_batch_1.bin"] = record.tobytes() + cifar_records(8, 1)
    files["test_batch.bin"] = cifar_records(8, 6)
    source = NAMED["cifar10"](root=str(write_files(files, tmp_path / "cifar")))
    images, _ = source.collect(tmp_path)
    image = images.read(0)
    assert images.names[0] == "data_batch_1/cat/00000"
    assert image.shape == (32, 32, 3)
    assert image[0, 5].tolist() == [200, 0, 0]
    assert image[1, 0].tolist() == [0, 100, 0]
    assert image.sum() == 300


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("data_batch_2.bin", b"x" * 3000, "data_batch_2.bin has 3,000 bytes, not a whole number"),
        ("data_batch_2.bin", b"\xff" * 3073, "data_batch_2.bin has labels up to 255"),
        ("data_batch_2.bin", b"", "data_batch_2.bin cannot be read"),
        ("data_batch_2.bin", None, "data_batch_2.bin cannot be read"),
        ("data_batch_1.bin", None, "there is no data_batch_1.bin in it"),
    ],
)
def test_invalid_records_are_reported(tmp_path, file, content, message):
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    files["test_batch.bin"] = cifar_records(8, 6)
    files[file] = content
    root = write_files({k: v for k, v in files.items() if v is not None}, tmp_path / "cifar")
    with pytest.raises(BenchError, match=f"data.root={root}: {message}"):
        NAMED["cifar10"](root=str(root)).load(seed=0, cache=tmp_path)


@pytest.mark.parametrize("broken", ["magic", "short", "labels", "missing"])
def test_invalid_arrays_are_reported(tmp_path, broken):
    files = MAKERS["fashion_mnist"]()
    name = "train-images-idx3-ubyte.gz"
    if broken == "magic":
        files[name] = files["train-labels-idx1-ubyte.gz"]
    elif broken == "short":
        files[name] = files[name][:200]
    elif broken == "labels":
        files["train-labels-idx1-ubyte.gz"] = files["t10k-labels-idx1-ubyte.gz"]
    else:
        del files[name]
    root = write_files(files, tmp_path / "fashion")
    with pytest.raises(BenchError, match=r"train.*; give a folder with the unpacked files of"):
        NAMED["fashion_mnist"](root=str(root)).load(seed=0, cache=tmp_path)


def test_list_of_pets_cannot_name_other_files(tmp_path):
    lists = {"annotations/trainval.txt": b"../../etc/passwd_1 1 1 1", "annotations/test.txt": b""}
    root = write_files(lists, tmp_path / "pets")
    with pytest.raises(BenchError, match=r"trainval\.txt is not a list of photos"):
        NAMED["oxford_pets"](root=str(root)).load(seed=0, cache=tmp_path)


def test_folder_without_the_data_set_is_reported(tmp_path):
    root = write_files({"notes.txt": b""}, tmp_path / "empty")
    for name in MAKERS:
        with pytest.raises(BenchError, match=rf"data\.root={root}: .*; give a folder with the"):
            NAMED[name](root=str(root)).load(seed=0, cache=tmp_path)


@pytest.mark.parametrize("name", NAMED)
def test_metadata_is_complete(name):
    info = NAMED[name].info
    assert info.name == name
    assert info.license
    assert info.citation
    assert info.source.startswith("https://")
    if name not in ("animals90", "imagenet"):  # no published digests
        assert all(remote.size and len(remote.sha256) == 64 for remote in info.files)


def test_archive_limits_of_a_subset_are_those_of_its_archive():
    full, animals = NAMED["caltech101"].info, NAMED["caltech101_animals"].info
    assert (
        animals.max_files == full.max_files > 9145 + 102
    )  # photos and folders, including the background
    assert animals.max_bytes == full.max_bytes


@pytest.mark.parametrize(
    ("options", "kind", "location"),
    [
        ({}, "http", {"url": "https://www.cs.toronto.edu/~kriz/cifar.html"}),
        ({"url": "http://mirror/cifar"}, "http", {"url": "http://mirror/cifar"}),
        ({"root": "/cifar"}, "local", {"uri": "/cifar"}),
    ],
)
def test_source_is_recorded_in_mlflow(tmp_path, options, kind, location):
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    files["test_batch.bin"] = cifar_records(8, 6)
    root = write_files(files, tmp_path / "cifar")
    split = NAMED["cifar10"](root=str(root)).load(seed=0, cache=tmp_path)
    source = NAMED["cifar10"](**options)
    parts = mlflow_datasets(split, {"root": source.root}, address=source.source_url())
    assert [part["role"] for part in parts] == ["train", "query", "gallery"]
    assert {(part["source_type"], part["source"]) for part in parts} == {
        (kind, json.dumps(location))
    }


def test_root_and_url_exclude_each_other(tmp_path):
    with pytest.raises(BenchError, match="in a folder or on a mirror; omit one of them"):
        NAMED["cifar10"](root="here", url="http://there").load(seed=0, cache=tmp_path)


def test_animal_classes_of_caltech101(shared, tmp_path):
    root = shared / "data" / "caltech101_animals"
    assert sorted(ANIMALS) == sorted(folder.name for folder in root.iterdir())


@pytest.mark.slow
def test_real_caltech101_animals(shared, tmp_path):
    root = shared / "data" / "caltech101_animals"
    split = NAMED["caltech101_animals"](root=str(root)).load(seed=0, cache=tmp_path)
    assert size(split) == 2221
    assert len(split.gallery.classes) == 36
