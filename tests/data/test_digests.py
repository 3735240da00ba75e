"""Digests of file contents, cached for unchanged files."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from outliers_bench.data import digests
from outliers_bench.data.digests import digest_files
from outliers_bench.types import LeftOut

NAMES = ["a.jpg", "b.jpg"]


def make_old(*files):
    """Set the times of files to a minute ago."""
    for file in files:
        past = time.time() - 60
        os.utime(file, (past, past))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for name in NAMES:
        (root / name).write_bytes(name.encode())
        make_old(root / name)
    return root


@pytest.fixture
def reads(monkeypatch):
    """Paths of the files that are read."""
    paths = []
    original = digests._digest
    monkeypatch.setattr(digests, "_digest", lambda path: (paths.append(path), original(path))[1])
    return paths


def expected(*contents):
    return [hashlib.blake2b(content, digest_size=16).digest() for content in contents]


def test_unchanged_files_are_not_read_again(folder, tmp_path, reads):
    first, left_out = digest_files(folder, NAMES, cache=tmp_path / "cache")
    assert list(first.values()) == expected(b"a.jpg", b"b.jpg")
    assert left_out == []
    assert len(reads) == 2
    assert digest_files(folder, NAMES, cache=tmp_path / "cache") == (first, [])
    assert len(reads) == 2


def test_changed_file_with_same_size_and_time_is_read(folder, tmp_path, reads):
    digest_files(folder, NAMES, cache=tmp_path)
    file = folder / "a.jpg"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    time.sleep(0.02)
    file.write_bytes(b"A.JPG")
    os.utime(file, ns=times)
    second, _ = digest_files(folder, NAMES, cache=tmp_path)
    assert list(second.values()) == expected(b"A.JPG", b"b.jpg")
    assert len(reads) == 3


def test_recently_written_file_is_read_again(folder, tmp_path, reads):
    (folder / "a.jpg").write_bytes(b"fresh")
    digest_files(folder, NAMES, cache=tmp_path)
    digest_files(folder, NAMES, cache=tmp_path)
    assert [Path(path).name for path in reads].count("a.jpg") == 2
    assert [Path(path).name for path in reads].count("b.jpg") == 1


def test_missing_and_empty_files_are_excluded(folder, tmp_path):
    (folder / "empty.jpg").touch()
    (folder / "folder.jpg").mkdir()
    names = [*NAMES, "empty.jpg", "gone.jpg", "folder.jpg"]
    found, left_out = digest_files(folder, names, cache=tmp_path)
    assert list(found) == NAMES
    assert {item.kind for item in left_out} == {"unreadable"}
    assert {item.name: item.detail for item in left_out} == {
        "empty.jpg": "is empty",
        "gone.jpg": "no such file or directory",
        "folder.jpg": "is a directory",
    }


def test_links_to_themselves_are_excluded(folder, tmp_path):
    (folder / "self.jpg").symlink_to("self.jpg")
    found, left_out = digest_files(folder, [*NAMES, "self.jpg"], cache=tmp_path)
    assert list(found) == NAMES
    assert left_out == [
        LeftOut("self.jpg", "unreadable", "too many levels of symbolic links"),
    ]


def damage_head(file):
    file.write_bytes(b"this is not a database, whatever its name is" * 100)


def damage_page(file):
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_head, damage_page])
def test_damaged_cache_is_rebuilt(folder, tmp_path, reads, damage):
    expected_result = digest_files(folder, NAMES, cache=tmp_path)
    damage(tmp_path / "digests.sqlite")
    assert digest_files(folder, NAMES, cache=tmp_path) == expected_result
    assert digest_files(folder, NAMES, cache=tmp_path) == expected_result
    assert len(reads) == 4


def test_database_is_not_checked_at_startup(folder, tmp_path, monkeypatch):
    statements = []
    connect = sqlite3.connect

    def traced(*args, **options):
        connection = connect(*args, **options)
        connection.set_trace_callback(statements.append)
        return connection

    monkeypatch.setattr(sqlite3, "connect", traced)
    digest_files(folder, NAMES, cache=tmp_path)
    digest_files(folder, NAMES, cache=tmp_path)
    assert any("SELECT" in statement for statement in statements)
    assert not [statement for statement in statements if "check" in statement.lower()]


def test_digests_without_a_writable_cache(folder, tmp_path):
    blocked = tmp_path / "cache"
    blocked.write_text("a file instead of a directory")
    found, _ = digest_files(folder, NAMES, cache=blocked)
    assert list(found.values()) == expected(b"a.jpg", b"b.jpg")


def test_two_processes_at_once(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    names = [f"{i}.jpg" for i in range(700)]
    for name in names:
        (root / name).write_bytes(name.encode())
        make_old(root / name)
    script = f"""
import pathlib
from outliers_bench.data.digests import digest_files
names = [f"{{i}}.jpg" for i in range(700)]
root, cache = pathlib.Path({str(root)!r}), pathlib.Path({str(tmp_path)!r})
found, left_out = digest_files(root, names, cache=cache)
import hashlib
assert not left_out
assert all(found[n] == hashlib.blake2b(n.encode(), digest_size=16).digest() for n in names)
"""
    runs = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    with closing(sqlite3.connect(tmp_path / "digests.sqlite")) as stored:
        assert stored.execute("SELECT count(*) FROM digests_2").fetchone() == (700,)


def test_damaged_digest_is_computed_again(folder, tmp_path):
    first = digest_files(folder, NAMES, cache=tmp_path)
    with closing(sqlite3.connect(tmp_path / "digests.sqlite")) as stored, stored:
        stored.execute("UPDATE digests_2 SET digest = zeroblob(16)")
    assert digest_files(folder, NAMES, cache=tmp_path) == first


def test_digests_of_earlier_versions_are_used(folder, tmp_path):
    digest_files(folder, NAMES, cache=tmp_path)
    other = b"0123456789abcdef"
    with closing(sqlite3.connect(tmp_path / "digests.sqlite")) as stored, stored:
        stored.execute("CREATE TABLE digests_1 (path, state, digest)")
        stored.execute("INSERT INTO digests_1 SELECT path, state, ? FROM digests_2", [other])
        stored.execute("DROP TABLE digests_2")
    assert digest_files(folder, NAMES, cache=tmp_path)[0] == dict.fromkeys(NAMES, other)
