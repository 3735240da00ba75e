"""Resuming after dropped connections, a kill or Ctrl-C: all images are collected, each once."""

import hashlib
import os
import re
import signal
import subprocess
import sys
import threading
from collections import Counter

import pytest

from outliers_bench.apps.collect.command import PROGRAM, Collect, collect, main
from outliers_bench.data.folder import ClassFolders
from outliers_bench.data.manifest import Manifest
from tests.apps.collect.web import (
    QUICK,
    encoded_photo,
    list_images,
    read_rows,
    run_collect,
    wait_until,
    write_url_list,
)
from tests.servers import ReceivedRequest, Reply, serving

MAX_IN_TRANSIT = 16  # default of concurrency=


class FlakyServer:
    """A server that drops every tenth connection, alternately before and within the response."""

    def __init__(self, n: int) -> None:
        self.photos = {f"/{i}.jpg": encoded_photo(i) for i in range(n)}
        self.lock = threading.Lock()
        self.served: Counter[str] = Counter()
        self.dropped = self.requests = 0

    def __call__(self, request: ReceivedRequest) -> Reply | None:
        if request.path == "/robots.txt":
            return Reply(404)
        with self.lock:
            self.requests += 1
            if self.requests % 10 == 0:
                self.dropped += 1
                return (
                    None
                    if self.requests % 20
                    else Reply(200, self.photos[request.path], stop_after=99)
                )
            self.served[request.path] += 1
        return Reply(200, self.photos[request.path])


def write_photo_list(folder, server, n: int) -> None:
    urls = [f"{server.url}/{i}.jpg" for i in range(n)]
    write_url_list(folder / "l.csv", [(url, f"animal {i % 4}") for i, url in enumerate(urls)])


def assert_complete(folder, web: FlakyServer) -> None:
    """Check that every photo is in the folder and in the manifest, whole and once."""
    files = list_images(folder)
    contents = Counter((folder / file).read_bytes() for file in files)
    assert contents == Counter(web.photos.values())
    rows = read_rows(folder / "collected.csv")
    assert sorted(row["path"] for row in rows) == files
    assert len({row["url"] for row in rows}) == len(rows) == len(web.photos)
    for row in rows:
        data = (folder / row["path"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert web.photos["/" + row["url"].rpartition("/")[2]] == data
    assert not list(folder.glob("**/*.part"))
    assert not (folder / "not_collected.csv").exists()


@pytest.mark.extra("collect")
@pytest.mark.slow
def test_a_server_that_drops_a_tenth_of_the_connections(tmp_path) -> None:
    web = FlakyServer(200)
    with serving(web) as server:
        write_photo_list(tmp_path, server, 200)
        done = run_collect(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert (done.code, done.err) == (0, "")
        assert web.dropped >= 20
        assert set(web.served.values()) == {1}
        assert_complete(tmp_path / "zoo", web)
        again = run_collect(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert again.code == 0
        assert sum(web.served.values()) == 200
    # The collection is data for a run, as a manifest and as class folders.
    by_table = Manifest(path=str(tmp_path / "zoo/collected.csv")).load(seed=0, cache=tmp_path)
    by_folder = ClassFolders(root=str(tmp_path / "zoo")).load(seed=0, cache=tmp_path)
    assert set(by_table.gallery.digests) == set(by_folder.gallery.digests)
    assert by_table.gallery.classes == tuple(f"animal {i}" for i in range(4))


@pytest.mark.extra("collect")
@pytest.mark.slow
@pytest.mark.parametrize("signal_number", [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_collection_is_resumed(tmp_path, signal_number: signal.Signals) -> None:
    web = FlakyServer(200)
    with serving(web) as server:
        write_photo_list(tmp_path, server, 200)
        folder = tmp_path / "zoo"
        process = subprocess.Popen(
            [sys.executable, "-m", "outliers_bench.collect", "urls=l.csv", "into=zoo", *QUICK],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        table = folder / "collected.csv"
        wait_until(lambda: table.exists() and table.read_bytes().count(b"\n") > 60)
        os.kill(process.pid, signal_number)
        _, stderr = process.communicate(timeout=60)
        if signal_number == signal.SIGINT:
            assert process.returncode == 130
            assert stderr == "interrupted; the same command continues from there\n"
        collected = {"/" + row["url"].rpartition("/")[2] for row in read_rows(table)}
        first = Counter(web.served)
        assert 60 <= len(collected) < 200
        assert len(set(first) - collected) <= MAX_IN_TRANSIT

        done = run_collect(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert (done.code, done.err) == (0, "")
        second = web.served - first
        assert not set(second) & collected  # collected images are not requested again
        assert set(second) | collected == set(web.photos)
        assert_complete(folder, web)


@pytest.mark.extra("collect")
@pytest.mark.slow
def test_a_folder_that_cannot_be_written_is_a_one_line_error(tmp_path) -> None:
    web = FlakyServer(8)
    with serving(web) as server:
        write_photo_list(tmp_path, server, 8)
        (tmp_path / "zoo").mkdir()
        (tmp_path / "zoo/animal 1").touch()  # a file in place of the class folder
        done = run_collect(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert "file exists" in done.err
        (tmp_path / "zoo/animal 1").unlink()
        assert run_collect(tmp_path, "urls=l.csv", "into=zoo", *QUICK).code == 0
        assert_complete(tmp_path / "zoo", web)


@pytest.mark.extra("collect")
@pytest.mark.slow
def test_an_internal_error_is_raised(tmp_path) -> None:
    script = (
        "import outliers_bench.apps.collect.spider as s\n"
        "s.check_image = lambda *_, **__: 1 / 0\n"
        "from outliers_bench.apps.collect.command import PROGRAM, Collect, collect, main\n"
        "raise SystemExit(main(Collect, collect, program=PROGRAM))"
    )
    with serving(FlakyServer(3)) as server:
        write_photo_list(tmp_path, server, 3)
        done = subprocess.run(
            [sys.executable, "-c", script, "urls=l.csv", "into=zoo", *QUICK],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_a_missing_scrapy_is_reported_with_the_install_command(
    tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("outliers_bench.apps.collect.crawl.find_spec", lambda _: None)
    (tmp_path / "l.csv").write_text("url,label\nhttp://zoo.example/1.jpg,lion\n")
    assert main(Collect, collect, program=PROGRAM, arguments=["urls=l.csv", "into=zoo"]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch("error: collecting needs scrapy: .* -m pip install 'scrapy.*'\n", error)
    assert not (tmp_path / "zoo").exists()
