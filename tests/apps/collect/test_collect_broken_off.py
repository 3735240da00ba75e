"""A server that drops connections, and a command that is killed: all images in the end, once."""

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
from tests.apps.collect.web import QUICK, images, photo, rows, until, write_list
from tests.apps.collect.web import collect as command
from tests.servers import ReceivedRequest, Reply, serving

IN_FLIGHT = 16  # concurrency, as it is if nothing is said


class Dropping:
    """Serves photos, and drops every tenth connection: half of these with no word, half midway."""

    def __init__(self, n: int) -> None:
        self.photos = {f"/{i}.jpg": photo(i) for i in range(n)}
        self.lock = threading.Lock()
        self.served: Counter[str] = Counter()
        self.dropped = self.requests = 0

    def __call__(self, asked: ReceivedRequest) -> Reply | None:
        if asked.path == "/robots.txt":
            return Reply(404)
        with self.lock:
            self.requests += 1
            if self.requests % 10 == 0:
                self.dropped += 1
                return (
                    None if self.requests % 20 else Reply(200, self.photos[asked.path], stop_after=99)
                )
            self.served[asked.path] += 1
        return Reply(200, self.photos[asked.path])


def listed(folder, server, n: int) -> None:
    urls = [f"{server.url}/{i}.jpg" for i in range(n)]
    write_list(folder / "l.csv", [(url, f"animal {i % 4}") for i, url in enumerate(urls)])


def check_complete(folder, web: Dropping) -> None:
    """Every photo is there, whole, once, and the manifest says so."""
    files = images(folder)
    contents = Counter((folder / file).read_bytes() for file in files)
    assert contents == Counter(web.photos.values())
    kept = rows(folder / "collected.csv")
    assert sorted(row["path"] for row in kept) == files
    assert len({row["url"] for row in kept}) == len(kept) == len(web.photos)
    for row in kept:
        data = (folder / row["path"]).read_bytes()
        assert row["sha256"] == hashlib.sha256(data).hexdigest()
        assert web.photos["/" + row["url"].rpartition("/")[2]] == data
    assert not list(folder.glob("**/*.part"))
    assert not (folder / "not_collected.csv").exists()


@pytest.mark.extra("collect")
@pytest.mark.slow
def test_two_hundred_from_a_server_that_drops_a_tenth(tmp_path) -> None:
    web = Dropping(200)
    with serving(web) as server:
        listed(tmp_path, server, 200)
        done = command(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert (done.code, done.err) == (0, "")
        assert web.dropped >= 20
        assert set(web.served.values()) == {1}
        check_complete(tmp_path / "zoo", web)
        again = command(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert again.code == 0
        assert sum(web.served.values()) == 200
    # What was collected is data for a run, by its table and as folders.
    by_table = Manifest(path=str(tmp_path / "zoo/collected.csv")).load(seed=0, cache=tmp_path)
    by_folder = ClassFolders(root=str(tmp_path / "zoo")).load(seed=0, cache=tmp_path)
    assert set(by_table.gallery.digests) == set(by_folder.gallery.digests)
    assert by_table.gallery.classes == tuple(f"animal {i}" for i in range(4))


@pytest.mark.extra("collect")
@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT])
def test_broken_off_it_goes_on_where_it_was(tmp_path, how: signal.Signals) -> None:
    web = Dropping(200)
    with serving(web) as server:
        listed(tmp_path, server, 200)
        folder = tmp_path / "zoo"
        process = subprocess.Popen(
            [sys.executable, "-m", "outliers_bench.collect", "urls=l.csv", "into=zoo", *QUICK],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        table = folder / "collected.csv"
        until(lambda: table.exists() and table.read_bytes().count(b"\n") > 60)
        os.kill(process.pid, how)
        _, said = process.communicate(timeout=60)
        if how == signal.SIGINT:
            assert process.returncode == 130
            assert said == "interrupted; the same command goes on from there\n"
        there = {"/" + row["url"].rpartition("/")[2] for row in rows(table)}
        first = Counter(web.served)
        assert 60 <= len(there) < 200
        assert len(set(first) - there) <= IN_FLIGHT

        done = command(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert (done.code, done.err) == (0, "")
        second = web.served - first
        assert not set(second) & there  # what was there was not asked for again
        assert set(second) | there == set(web.photos)
        check_complete(folder, web)


@pytest.mark.extra("collect")
@pytest.mark.slow
def test_a_folder_that_cannot_be_written_ends_it_on_one_line(tmp_path) -> None:
    web = Dropping(8)
    with serving(web) as server:
        listed(tmp_path, server, 8)
        (tmp_path / "zoo").mkdir()
        (tmp_path / "zoo/animal 1").touch()  # where a folder must be
        done = command(tmp_path, "urls=l.csv", "into=zoo", *QUICK)
        assert done.code == 2
        assert done.err.count("\n") == 1
        assert "file exists" in done.err
        (tmp_path / "zoo/animal 1").unlink()
        assert command(tmp_path, "urls=l.csv", "into=zoo", *QUICK).code == 0
        check_complete(tmp_path / "zoo", web)


@pytest.mark.extra("collect")
@pytest.mark.slow
def test_a_fault_of_ours_is_not_passed_over(tmp_path) -> None:
    script = (
        "import outliers_bench.apps.collect.spiders as s\n"
        "s.examine = lambda *_, **__: 1 / 0\n"
        "from outliers_bench.collect.__main__ import *\n"
        "sys.exit(main(Collect, collect, program=PROGRAM))"
    )
    with serving(Dropping(3)) as server:
        listed(tmp_path, server, 3)
        done = subprocess.run(
            [sys.executable, "-c", script, "urls=l.csv", "into=zoo", *QUICK],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert "ZeroDivisionError" in done.stderr


def test_without_scrapy_the_way_to_it_is_told(tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("outliers_bench.apps.collect.crawl.find_spec", lambda _: None)
    (tmp_path / "l.csv").write_text("url,label\nhttp://zoo.example/1.jpg,lion\n")
    assert main(Collect, collect, program=PROGRAM, arguments=["urls=l.csv", "into=zoo"]) == 2
    error = capsys.readouterr().err
    assert re.fullmatch("error: collecting needs scrapy: .* -m pip install 'scrapy.*'\n", error)
    assert not (tmp_path / "zoo").exists()
