"""A digest is of the content as it is, and is not worked out twice for an unchanged file."""

import hashlib
import os
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from outliers_bench.data import digests
from outliers_bench.data.digests import digest_files
from outliers_bench.types import LeftOut

NAMES = ["a.jpg", "b.jpg"]


def settle(*files):
    """Make files look as if they had lain there for a while."""
    for file in files:
        past = time.time() - 60
        os.utime(file, (past, past))


@pytest.fixture
def folder(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    for name in NAMES:
        (root / name).write_bytes(name.encode())
        settle(root / name)
    return root


@pytest.fixture
def reads(monkeypatch):
    """Paths really read."""
    seen = []
    original = digests._digest
    monkeypatch.setattr(digests, "_digest", lambda path: (seen.append(path), original(path))[1])
    return seen


def expected(*contents):
    return [hashlib.blake2b(content, digest_size=16).digest() for content in contents]


def test_unchanged_files_are_not_read_again(folder, tmp_path, reads):
    first, left_out = digest_files(folder, NAMES, cache=tmp_path / "cache")
    assert list(first.values()) == expected(b"a.jpg", b"b.jpg")
    assert left_out == []
    assert len(reads) == 2
    assert digest_files(folder, NAMES, cache=tmp_path / "cache") == (first, [])
    assert len(reads) == 2


def test_a_changed_file_is_read_even_if_its_size_and_time_stayed(folder, tmp_path, reads):
    digest_files(folder, NAMES, cache=tmp_path)
    file = folder / "a.jpg"
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    time.sleep(0.02)
    file.write_bytes(b"A.JPG")
    os.utime(file, ns=times)
    again, _ = digest_files(folder, NAMES, cache=tmp_path)
    assert list(again.values()) == expected(b"A.JPG", b"b.jpg")
    assert len(reads) == 3


def test_a_file_just_written_is_not_trusted(folder, tmp_path, reads):
    (folder / "a.jpg").write_bytes(b"fresh")
    digest_files(folder, NAMES, cache=tmp_path)
    digest_files(folder, NAMES, cache=tmp_path)
    assert [Path(path).name for path in reads].count("a.jpg") == 2
    assert [Path(path).name for path in reads].count("b.jpg") == 1


def test_missing_empty_and_forbidden_files_are_left_out(folder, tmp_path):
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


def test_links_to_themselves_are_left_out(folder, tmp_path):
    (folder / "self.jpg").symlink_to("self.jpg")
    found, left_out = digest_files(folder, [*NAMES, "self.jpg"], cache=tmp_path)
    assert list(found) == NAMES
    assert left_out == [
        LeftOut("self.jpg", "unreadable", "too many levels of symbolic links"),
    ]


def damage_head(file):
    file.write_bytes(b"this is no database at all, whatever its name says" * 100)


def damage_page(file):
    data = bytearray(file.read_bytes())
    data[4096:] = os.urandom(len(data) - 4096)
    file.write_bytes(data)


@pytest.mark.parametrize("damage", [damage_head, damage_page])
def test_a_damaged_memory_is_rebuilt(folder, tmp_path, reads, damage):
    good = digest_files(folder, NAMES, cache=tmp_path)
    damage(tmp_path / "digests.sqlite")
    assert digest_files(folder, NAMES, cache=tmp_path) == good
    assert digest_files(folder, NAMES, cache=tmp_path) == good
    assert len(reads) == 4


def test_the_database_is_not_read_through_at_the_start(folder, tmp_path, monkeypatch):
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


def test_without_a_place_to_remember_the_digests_still_come(folder, tmp_path):
    blocked = tmp_path / "cache"
    blocked.write_text("a file where the directory should be")
    found, _ = digest_files(folder, NAMES, cache=blocked)
    assert list(found.values()) == expected(b"a.jpg", b"b.jpg")


def test_two_processes_at_once(tmp_path):
    root = tmp_path / "photos"
    root.mkdir()
    names = [f"{i}.jpg" for i in range(700)]
    for name in names:
        (root / name).write_bytes(name.encode())
        settle(root / name)
    script = f"""
import pathlib
from outliers_bench.data.digests import digest_files
names = [f"{{i}}.jpg" for i in range(700)]
root, cache = pathlib.Path({str(root)!r}), pathlib.Path({str(tmp_path)!r})
found, left = digest_files(root, names, cache=cache)
import hashlib
assert not left
assert all(found[n] == hashlib.blake2b(n.encode(), digest_size=16).digest() for n in names)
"""
    runs = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(2)]
    assert [run.wait(timeout=60) for run in runs] == [0, 0]
    with digests.closing(digests._Memory(tmp_path / "digests.sqlite")) as memory:
        assert len(memory.recall([str(root / name) for name in names])) == 700
