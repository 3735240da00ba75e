"""Downloads of named data sets, from archives with the layout of the real ones."""

import multiprocessing
import shutil
from dataclasses import replace

import pytest

from outliers_bench.data.download import unpack as unpack_module
from outliers_bench.data.named.catalog import NAMED
from outliers_bench.data.named.local_copy import dataset_dir
from outliers_bench.errors import BenchError
from tests.command_line import bench
from tests.named_sets import MAKERS, N_IMAGES, Mirror, caltech101
from tests.servers import serving

pytestmark = pytest.mark.usefixtures("short_pauses")


PARTS = ("train", "query", "gallery")


def is_downloaded(info, cache):
    return (dataset_dir(info, cache) / "files").is_dir()


def size(split):
    return sum(len(getattr(split, part)) for part in PARTS)


@pytest.mark.parametrize("name", MAKERS)
def test_mirror_to_split(name, tmp_path):
    files = MAKERS[name]()
    with serving(Mirror(files)) as server:
        source = NAMED[name](url=f"{server.url}/mirror", verify=False)
        split = source.load(seed=0, cache=tmp_path)
        second = source.load(seed=0, cache=tmp_path)
        assert len(server.requests) == len(files)
    assert size(split) == N_IMAGES[name]
    assert split.name == name
    assert second.fingerprint == split.fingerprint
    for part in PARTS:
        images = getattr(split, part)
        assert all(images.read(row).shape[2] == 3 for row in range(len(images)))
    folder = dataset_dir(replace(source.info, mirror=source.url, verify=False), tmp_path)
    assert [path.name for path in folder.iterdir()] == ["files"]
    assert not is_downloaded(source.info, tmp_path)


@pytest.mark.parametrize("name", MAKERS)
def test_existing_folder(name, tmp_path):
    with serving(Mirror(MAKERS[name]())) as server:
        source = NAMED[name](url=server.url, verify=False)
        mirrored = source.load(seed=0, cache=tmp_path)
        root = str(source.files_dir(tmp_path))
    split = NAMED[name](root=root).load(seed=0, cache=tmp_path)
    assert split.fingerprint == mirrored.fingerprint


def test_published_files_are_verified_and_shared(tmp_path, publish):
    files = caltech101()
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        assert not is_downloaded(kind.info, tmp_path)
        split = kind().load(seed=0, cache=tmp_path)
        assert is_downloaded(kind.info, tmp_path)
        animals = NAMED["caltech101_animals"]().load(seed=0, cache=tmp_path)
        assert len(server.requests) == 1
    assert split.gallery.classes == ("accordion", "cougar_face", "crab", "leopards")
    assert animals.gallery.classes == ("crab", "leopards")


def test_mirror_must_have_the_published_files(tmp_path, publish):
    files = caltech101()
    with serving(Mirror({"caltech-101.zip": files["caltech-101.zip"][::-1]})) as server:
        kind = publish("caltech101", files, "http://127.0.0.1:9")
        with pytest.raises(BenchError) as error:
            kind(url=server.url).load(seed=0, cache=tmp_path)
        assert len(server.requests) == 2
    message = str(error.value)
    assert message.startswith(
        f"data=caltech101: {server.url}/caltech-101.zip: the download differs from"
    )
    assert "Omit data.url= to download the published files, or use" in message
    with serving(Mirror(files)) as server:
        kind(url=f"{server.url}/caltech-101.zip").load(seed=0, cache=tmp_path)
        assert server.paths() == ["/caltech-101.zip"]


def test_missing_network_is_reported_with_advice(tmp_path, publish):
    files = caltech101()
    with serving(Mirror(files)) as server:
        pass
    kind = publish("caltech101", files, server.url)
    with pytest.raises(BenchError) as error:
        kind().load(seed=0, cache=tmp_path)
    by_hand = tmp_path / "datasets" / "caltech101" / "caltech-101.zip"
    message = str(error.value)
    assert "\n" not in message
    for part in (server.url, f"put it as {by_hand}", "data.root=", "data.url="):
        assert part in message
    by_hand.write_bytes(files["caltech-101.zip"])
    assert size(kind().load(seed=0, cache=tmp_path)) == N_IMAGES["caltech101"]
    assert by_hand.exists()  # the user put it there


def test_unpacking_restarts_after_a_killed_process(tmp_path, publish):
    files = caltech101()
    leftover = dataset_dir(NAMED["caltech101"].info, tmp_path) / "unpacking" / "caltech-101"
    leftover.mkdir(parents=True)
    (leftover / "101_ObjectCategories.tar.gz").write_bytes(b"half")
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        assert size(kind().load(seed=0, cache=tmp_path)) == N_IMAGES["caltech101"]


def test_error_while_unpacking_leaves_no_data_set(tmp_path, publish, monkeypatch):
    files = caltech101()
    with serving(Mirror(files)) as server:
        kind = publish("caltech101", files, server.url)
        with monkeypatch.context() as patch:
            patch.setattr(unpack_module, "unpack", lambda *_, **__: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                kind().load(seed=0, cache=tmp_path)
        assert not is_downloaded(kind.info, tmp_path)
        kind().load(seed=0, cache=tmp_path)
        assert len(server.requests) == 1  # the download is still there


def download_cifar10(cache, url):
    NAMED["cifar10"](url=url, verify=False).files_dir(cache)


def test_two_processes_download_once(tmp_path):
    files = MAKERS["cifar10"]()

    def respond_slowly(request):
        return replace(Mirror(files)(request), pause=0.3)

    with serving(respond_slowly) as server:
        fork = multiprocessing.get_context("fork")
        both = [
            fork.Process(target=download_cifar10, args=(tmp_path, server.url)) for _ in range(2)
        ]
        for process in both:
            process.start()
        for process in both:
            process.join()
        assert [process.exitcode for process in both] == [0, 0]
        assert len(server.requests) == 1


@pytest.mark.slow
@pytest.mark.parametrize("name", MAKERS)
def test_run_on_named_set(name, empty_database, tmp_path):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    with serving(Mirror(MAKERS[name]())) as server:
        done = bench(
            *(f"data={name}", f"data.url={server.url}", "data.verify=false", "model=pixels"),
            *("k=[1,2]", f"cache.dir={tmp_path / 'cache'}"),
            cwd=tmp_path,
        )
    assert done.code == 0, done.err
    assert f"on  {name}" in done.out
    assert "fetching" in done.err
