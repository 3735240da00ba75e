"""The named data sets, from made-up archives that are laid out as the real ones."""

import hashlib
import json
import multiprocessing
import re
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.apps import split_datasets
from outliers_bench.data.download import fetch as fetching
from outliers_bench.data.download import unpack as unpacking
from outliers_bench.data.named.caltech101 import ANIMALS
from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.named.local_copy import home, is_here
from outliers_bench.data.named.source import Parts
from outliers_bench.data.source import Leakage
from outliers_bench.data.split import Protocol
from outliers_bench.errors import BenchError
from outliers_bench.leakage.policy import audit
from outliers_bench.runtime import command_line
from outliers_bench.tracking.datasets import split_datasets as in_mlflow
from tests.cli import bench
from tests.named_sets import IMAGES, MADE, Mirror, caltech101, cifar_records, written
from tests.servers import serving

PARTS = ("train", "query", "gallery")


@pytest.fixture(autouse=True)
def _impatient(monkeypatch):
    monkeypatch.setattr(fetching, "FIRST_PAUSE", 0.001)


def size(split):
    return sum(len(getattr(split, part)) for part in PARTS)


@pytest.fixture
def publish(monkeypatch):
    """Let a data set be published as some files are, at a server."""

    def publish(name, files, url):
        kind = NAMED[name]
        digests = {file: hashlib.sha256(body).hexdigest() for file, body in files.items()}
        remotes = tuple(
            replace(
                remote,
                url=f"{url}/{remote.name}",
                size=len(files[remote.name]),
                sha256=digests[remote.name],
            )
            for remote in kind.about.files
        )
        monkeypatch.setattr(kind, "about", replace(kind.about, files=remotes, size=10_000))
        return kind

    return publish


@pytest.mark.parametrize("name", MADE)
def test_from_a_mirror_to_a_split(name, tmp_path):
    files = MADE[name]()
    with serving(Mirror(files)) as server:
        source = NAMED[name](url=f"{server.url}/mirror", verify=False)
        split = source.load(seed=0, cache=tmp_path)
        again = source.load(seed=0, cache=tmp_path)
        assert len(server.requests) == len(files)
    assert size(split) == IMAGES[name]
    assert split.name == name
    assert again.fingerprint == split.fingerprint
    for part in PARTS:
        images = getattr(split, part)
        assert all(images.read(row).shape[2] == 3 for row in range(len(images)))
    place = home(source.about, tmp_path, url=source.url, verify=False)
    assert [path.name for path in place.iterdir()] == ["files"]
    assert not is_here(source.about, tmp_path)


@pytest.mark.parametrize("name", MADE)
def test_a_folder_where_it_lies_already(name, tmp_path):
    with serving(Mirror(MADE[name]())) as server:
        source = NAMED[name](url=server.url, verify=False)
        there = source.load(seed=0, cache=tmp_path)
        root = str(source.place(tmp_path))
    split = NAMED[name](root=root).load(seed=0, cache=tmp_path)
    assert split.fingerprint == there.fingerprint


def test_the_published_files_are_verified_and_shared(tmp_path, publish):
    files = caltech101()
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        assert not is_here(kind.about, tmp_path)
        split = kind().load(seed=0, cache=tmp_path)
        assert is_here(kind.about, tmp_path)
        animals = NAMED["caltech101_animals"]().load(seed=0, cache=tmp_path)
        assert len(server.requests) == 1
    assert split.gallery.classes == ("accordion", "cougar_face", "crab", "leopards")
    assert animals.gallery.classes == ("crab", "leopards")


def test_a_mirror_must_have_the_published_files(tmp_path, publish):
    files = caltech101()
    with serving(Mirror({"caltech-101.zip": files["caltech-101.zip"][::-1]})) as server:
        kind = publish("caltech101", files, "http://127.0.0.1:9")
        with pytest.raises(BenchError) as caught:
            kind(url=server.url).load(seed=0, cache=tmp_path)
        assert len(server.requests) == 2
    said = str(caught.value)
    assert said.startswith(f"data=caltech101: {server.url}/caltech-101.zip: what comes is not what")
    assert "Leave out data.url= to fetch what is published, or give" in said
    with serving(Mirror(files)) as server:
        kind(url=f"{server.url}/caltech-101.zip").load(seed=0, cache=tmp_path)
        assert server.paths() == ["/caltech-101.zip"]


def test_without_network_it_says_what_to_do(tmp_path, publish):
    files = caltech101()
    with serving(Mirror(files)) as server:
        pass
    kind = publish("caltech101", files, server.url)
    with pytest.raises(BenchError) as caught:
        kind().load(seed=0, cache=tmp_path)
    by_hand = tmp_path / "datasets" / "caltech101" / "caltech-101.zip"
    said = str(caught.value)
    assert "\n" not in said
    for part in (server.url, f"put it as {by_hand}", "data.root=", "data.url="):
        assert part in said
    by_hand.write_bytes(files["caltech-101.zip"])
    assert size(kind().load(seed=0, cache=tmp_path)) == IMAGES["caltech101"]
    assert by_hand.exists()  # it is its owner's


def test_too_little_room_is_told_before_anything_is_fetched(
    tmp_path, publish, monkeypatch, datasets_command
):
    files = caltech101()
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        monkeypatch.setattr(kind, "about", replace(kind.about, size=10**18))
        with pytest.raises(BenchError, match=r"GB are needed in .* as cache\.dir=<folder>$"):
            kind().load(seed=0, cache=tmp_path)
        assert server.requests == []
        code, _, err = datasets_command("caltech101")
    assert code == 2
    assert err.endswith(" give another place as cache=<folder>\n")


def test_what_a_killed_process_was_unpacking_is_begun_anew(tmp_path, publish):
    files = caltech101()
    left = home(NAMED["caltech101"].about, tmp_path) / "unpacking" / "caltech-101"
    left.mkdir(parents=True)
    (left / "101_ObjectCategories.tar.gz").write_bytes(b"half")
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        assert size(kind().load(seed=0, cache=tmp_path)) == IMAGES["caltech101"]


def test_a_fault_while_unpacking_leaves_no_data_set(tmp_path, publish, monkeypatch):
    files = caltech101()
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        with monkeypatch.context() as patch:
            patch.setattr(unpacking, "unpack", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                kind().load(seed=0, cache=tmp_path)
        assert not is_here(kind.about, tmp_path)
        kind().load(seed=0, cache=tmp_path)
        assert len(server.requests) == 1  # what was fetched is still there


def fetch_it(cache, url):
    NAMED["cifar10"](url=url, verify=False).place(cache)


def test_two_processes_fetch_once(tmp_path):
    files = MADE["cifar10"]()

    def slowly(asked):
        return replace(Mirror(files)(asked), pause=0.3)

    with serving(slowly) as server:
        fork = multiprocessing.get_context("fork")
        both = [fork.Process(target=fetch_it, args=(tmp_path, server.url)) for _ in range(2)]
        for process in both:
            process.start()
        for process in both:
            process.join()
        assert [process.exitcode for process in both] == [0, 0]
        assert len(server.requests) == 1


@pytest.mark.parametrize("name", ["oxford_pets", "cifar10", "fashion_mnist"])
def test_official_parts(name, tmp_path):
    with serving(Mirror(MADE[name]())) as server:
        source = NAMED[name](url=server.url, verify=False, parts=Parts.official)
        split = source.load(seed=0, cache=tmp_path)
        other = source.load(seed=1, cache=tmp_path)
    tests = {"oxford_pets": 8, "cifar10": 8, "fashion_mnist": 10}[name]
    assert len(split.query) + len(split.gallery) == tests
    assert len(split.train) == IMAGES[name] - tests
    assert other.train.digests == split.train.digests
    assert other.fingerprint != split.fingerprint
    if name == "fashion_mnist":
        assert {part.partition("/")[0] for part in split.train.names} == {"train"}
    with pytest.raises(BenchError, match=r"data\.parts=official with data\.protocol=leave_one_out"):
        replace(source, protocol=Protocol.leave_one_out).load(seed=0, cache=tmp_path)


def test_a_test_image_that_is_a_training_image_too_is_left_to_the_audit(tmp_path):
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    files["test_batch.bin"] = cifar_records(8, 6)[:-3073] + cifar_records(8, 1)[-3073:]
    written(files, tmp_path / "cifar")
    source = NAMED["cifar10"](root=str(tmp_path / "cifar"), parts=Parts.official)
    split = source.load(seed=0, cache=tmp_path)
    assert (len(split.train), len(split.query) + len(split.gallery)) == (40, 8)
    assert len({*split.train.digests, *split.query.digests, *split.gallery.digests}) == 47
    assert len(audit(split, Leakage.drop, cache=tmp_path).split.train) == 39


def test_pixels_come_out_as_they_were_stored(tmp_path):
    record = np.zeros(3073, np.uint8)
    record[0] = 3
    record[1 + 5] = 200  # red: first row, sixth column
    record[1 + 1024 + 32] = 100  # green: second row, first column
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(2, 6)}
    files["data_batch_1.bin"] = record.tobytes() + cifar_records(8, 1)
    files["test_batch.bin"] = cifar_records(8, 6)
    source = NAMED["cifar10"](root=str(written(files, tmp_path / "cifar")))
    images, _ = source.collect(tmp_path)
    image = images.read(0)
    assert images.names[0] == "data_batch_1/cat/00000"
    assert image.shape == (32, 32, 3)
    assert image[0, 5].tolist() == [200, 0, 0]
    assert image[1, 0].tolist() == [0, 100, 0]
    assert image.sum() == 300


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("data_batch_2.bin", b"x" * 3000, "data_batch_2.bin has 3,000 bytes, no whole records"),
        ("data_batch_2.bin", b"\xff" * 3073, "data_batch_2.bin has labels up to 255"),
        ("data_batch_2.bin", b"", "data_batch_2.bin cannot be read"),
        ("data_batch_2.bin", None, "data_batch_2.bin cannot be read"),
        ("data_batch_1.bin", None, "there is no data_batch_1.bin in it"),
    ],
)
def test_bad_records_are_told(tmp_path, file, content, said):
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    files["test_batch.bin"] = cifar_records(8, 6)
    files[file] = content
    root = written({k: v for k, v in files.items() if v is not None}, tmp_path / "cifar")
    with pytest.raises(BenchError, match=f"data.root={root}: {said}"):
        NAMED["cifar10"](root=str(root)).load(seed=0, cache=tmp_path)


@pytest.mark.parametrize("broken", ["magic", "short", "labels", "missing"])
def test_bad_arrays_are_told(tmp_path, broken):
    files = MADE["fashion_mnist"]()
    name = "train-images-idx3-ubyte.gz"
    if broken == "magic":
        files[name] = files["train-labels-idx1-ubyte.gz"]
    elif broken == "short":
        files[name] = files[name][:200]
    elif broken == "labels":
        files["train-labels-idx1-ubyte.gz"] = files["t10k-labels-idx1-ubyte.gz"]
    else:
        del files[name]
    root = written(files, tmp_path / "fashion")
    with pytest.raises(BenchError, match=r"train.*; give a folder with what fashion_mnist is"):
        NAMED["fashion_mnist"](root=str(root)).load(seed=0, cache=tmp_path)


def test_a_list_of_pets_cannot_name_files_elsewhere(tmp_path):
    lists = {"annotations/trainval.txt": b"../../etc/passwd_1 1 1 1", "annotations/test.txt": b""}
    root = written(lists, tmp_path / "pets")
    with pytest.raises(BenchError, match=r"trainval\.txt is no list of photos"):
        NAMED["oxford_pets"](root=str(root)).load(seed=0, cache=tmp_path)


def test_a_folder_of_something_else_is_told(tmp_path):
    root = written({"notes.txt": b""}, tmp_path / "empty")
    for name in MADE:
        with pytest.raises(BenchError, match=rf"data\.root={root}: .*; give a folder with what"):
            NAMED[name](root=str(root)).load(seed=0, cache=tmp_path)


@pytest.mark.parametrize("name", NAMED)
def test_each_knows_what_it_is(name):
    about = NAMED[name].about
    assert about.name == name
    assert about.license
    assert about.citation
    assert about.source.startswith("https://")
    if name not in ("animals90", "imagenet"):  # whose publishers name no digests
        assert all(len(remote.sha256) == 64 and len(remote.md5) == 32 for remote in about.files)
        assert sum(remote.size for remote in about.files) == about.size


def test_the_limits_of_an_archive_are_those_of_whose_it_is():
    whole, animals = NAMED["caltech101"].about, NAMED["caltech101_animals"].about
    assert animals.most_files == whole.most_files > 9145 + 102  # photos and folders, background too
    assert animals.most_bytes == whole.most_bytes


@pytest.mark.parametrize(
    ("options", "kind", "said"),
    [
        ({}, "http", {"url": "https://www.cs.toronto.edu/~kriz/cifar.html"}),
        ({"url": "http://mirror/cifar"}, "http", {"url": "http://mirror/cifar"}),
        ({"root": "/cifar"}, "local", {"uri": "/cifar"}),
    ],
)
def test_mlflow_is_told_where_it_comes_from(tmp_path, options, kind, said):
    files = {f"data_batch_{i}.bin": cifar_records(8, i) for i in range(1, 6)}
    files["test_batch.bin"] = cifar_records(8, 6)
    root = written(files, tmp_path / "cifar")
    split = NAMED["cifar10"](root=str(root)).load(seed=0, cache=tmp_path)
    source = NAMED["cifar10"](**options)
    found = in_mlflow(split, {"root": source.root}, address=source.address())
    assert [part.role for part in found] == ["train", "query", "gallery"]
    assert {(part.source_type, part.source) for part in found} == {(kind, json.dumps(said))}


def test_root_and_url_exclude_each_other(tmp_path):
    with pytest.raises(BenchError, match="in a folder, or on a mirror; leave one out"):
        NAMED["cifar10"](root="here", url="http://there").load(seed=0, cache=tmp_path)


def test_the_animals_of_caltech_by_name(shared, tmp_path):
    root = shared / "data" / "caltech101_animals"
    assert sorted(ANIMALS) == sorted(folder.name for folder in root.iterdir())


@pytest.mark.slow
def test_the_real_animals_of_caltech(shared, tmp_path):
    root = shared / "data" / "caltech101_animals"
    split = NAMED["caltech101_animals"](root=str(root)).load(seed=0, cache=tmp_path)
    assert size(split) == 2221
    assert len(split.gallery.classes) == 36


@pytest.mark.slow
@pytest.mark.parametrize("name", MADE)
def test_end_to_end(name, made, tmp_path):
    shutil.copy(made, tmp_path / "mlflow.db")
    with serving(Mirror(MADE[name]())) as server:
        done = bench(
            *(f"data={name}", f"data.url={server.url}", "data.verify=false", "model=pixels"),
            *("k=[1,2]", f"cache.dir={tmp_path / 'cache'}"),
            cwd=tmp_path,
        )
    assert done.code == 0, done.err
    assert f"on  {name}" in done.out
    assert "fetching" in done.err


@pytest.mark.slow
def test_killed_while_it_fetches_it_goes_on(tmp_path):
    files = MADE["cifar10"](rows=100)
    (name,) = files

    def slowly(asked):
        return replace(Mirror(files)(asked), slow=0.02)

    with serving(slowly) as server:
        said = ["cifar10", f"url={server.url}", "verify=false", f"cache={tmp_path}"]
        call = [sys.executable, "-m", "outliers_bench.datasets", *said]
        process = subprocess.Popen(call, stderr=subprocess.DEVNULL)
        part = home(NAMED["cifar10"].about, tmp_path, url=server.url, verify=False) / f"{name}.part"
        while process.poll() is None and not (part.exists() and part.stat().st_size > 10**6):
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        had = part.stat().st_size
        assert had < len(files[name])
        done = bench(*said, module="outliers_bench.datasets", cwd=tmp_path)
        assert done.code == 0, done.err
        assert [asked.headers.get("range") for asked in server.requests] == [None, f"bytes={had}-"]


@pytest.fixture
def datasets_command(tmp_path, capsys):
    def call(*words):
        words = (*words, f"cache={tmp_path}")
        code = command_line.main(
            *(split_datasets.Options, split_datasets.work),
            program=split_datasets.PROGRAM,
            loose="names",
            arguments=words,
        )
        return code, *capsys.readouterr()

    return call


def test_the_command_lists(datasets_command):
    code, out, _ = datasets_command()
    assert code == 0
    for name, kind in NAMED.items():
        assert f"{name} " in out
        assert kind.about.source in out
        assert f"{kind.about.images:,}" in out
    assert "yes" not in out


def test_the_command_fetches(datasets_command, publish):
    files = MADE["fashion_mnist"]()
    with serving(Mirror(files)) as server:
        publish("fashion_mnist", files, server.url)
        code, out, err = datasets_command("fashion_mnist")
    assert code == 0, err
    assert out.startswith("fashion_mnist: license: MIT (https://")
    assert out.endswith("to use it: python -m outliers_bench data=fashion_mnist\n")
    assert re.search("fashion_mnist .* yes +MIT", datasets_command()[1])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["fashion"], "fashion: no such data set; did you mean fashion_mnist?"),
        (["caltech101", "imagenet"], "after registration only"),
        (["cifar10", "caltech101", "url=http://x"], "a mirror is of one data set"),
        (["cifar10", "verfy=false"], "did you mean verify=<value>?"),
    ],
)
def test_the_command_tells_mistakes(datasets_command, words, said):
    code, _, err = datasets_command(*words)
    assert code == 2
    assert said in err


@pytest.mark.slow
def test_the_command_as_a_user_calls_it(tmp_path):
    listed = bench(f"cache={tmp_path}", module="outliers_bench.datasets", cwd=tmp_path)
    assert listed.code == 0
    assert "caltech101_animals" in listed.out
