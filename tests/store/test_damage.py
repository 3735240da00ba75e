"""Damage in the files of a feature store: no wrong vector, and no traceback."""

import logging
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from outliers_bench.store.database import DAMAGED, VERSION
from outliers_bench.store.features import FeatureStore, file_stem
from outliers_bench.types import Reason
from tests.toys import digest

SPACE = {"architecture": "Toy Net", "image_size": 8}
COUNT, LENGTH = 300, 48
NAMES = [digest(f"{number}") for number in range(COUNT)]
UNREADABLE = [digest(f"unreadable-{number}") for number in range(20)]
VECTORS = np.random.default_rng(0).normal(size=(COUNT, LENGTH)).astype(np.float32)
REASON = Reason("unreadable", "is truncated: Bilddatei beschädigt")


def open_store(folder):
    return FeatureStore(folder, SPACE, LENGTH)


def fill(folder):
    """Store all vectors and reasons that are missing, and return the path of the file."""
    with open_store(folder) as store:
        known = store.known(NAMES + UNREADABLE)
        store.add(
            [(name, row) for name, row in zip(NAMES, VECTORS, strict=True) if name not in known],
            [(name, REASON) for name in UNREADABLE if name not in known],
            seconds=1.0,
        )
        return store.path


def read_back(folder):
    """Check what the store returns, and return how much of it is there."""
    with open_store(folder) as store:
        known = store.known(NAMES + UNREADABLE)
        vectors, reasons = store.get(NAMES), store.unreadable(NAMES + UNREADABLE)
        assert store.empty(NAMES) == set()
        store.images_per_second()
    for name, row in zip(NAMES, VECTORS, strict=True):
        assert name not in vectors or vectors[name].tobytes() == row.tobytes()
    assert set(reasons) <= set(UNREADABLE)
    assert set(reasons.values()) <= {REASON}
    assert known == set(vectors) | set(reasons)
    return len(known)


def flip(content, position, bit=0):
    content[position] ^= 1 << bit


def flip_some(content, rng):
    flip(content, rng.integers(len(content)), rng.integers(8))


def flip_everywhere(content, rng):
    for position in rng.integers(len(content), size=len(content) // 2048):
        flip(content, position, rng.integers(8))


def clear_some(content, rng):
    start = rng.integers(len(content))
    content[start : start + 65536] = bytes(len(content[start : start + 65536]))


def truncate(content, rng):
    del content[rng.integers(len(content)) :]


@pytest.mark.parametrize("damage", [flip_some, flip_everywhere, clear_some, truncate])
def test_damaged_rows_are_absent_and_are_stored_again(tmp_path, damage):
    path = fill(tmp_path)
    intact = path.read_bytes()
    rng = np.random.default_rng(7)
    for _ in range(10):
        content = bytearray(intact)
        damage(content, rng)
        path.write_bytes(content)
        read_back(tmp_path)
        fill(tmp_path)
        assert read_back(tmp_path) == COUNT + len(UNREADABLE)


def test_one_warning_counts_the_damaged_rows(tmp_path, caplog):
    path = fill(tmp_path)
    content = bytearray(path.read_bytes())
    for row in (3, 70, 200):
        flip(content, content.index(VECTORS[row].tobytes()) + 5)
    path.write_bytes(content)
    caplog.set_level(logging.WARNING)
    assert read_back(tmp_path) == COUNT + len(UNREADABLE) - 3
    (record,) = caplog.records
    assert record.getMessage() == (
        f"{path} was damaged: 3 of its rows are computed again when needed"
    )


def test_damaged_page_loses_only_its_rows(tmp_path):
    path = fill(tmp_path)
    content = bytearray(path.read_bytes())
    page = content.index(VECTORS[100].tobytes()) // 4096
    content[page * 4096 : page * 4096 + 8] = b"\xff" * 8
    path.write_bytes(content)
    assert COUNT - 40 < read_back(tmp_path) < COUNT + len(UNREADABLE)


def test_file_that_is_no_database_is_set_aside(tmp_path, caplog):
    path = tmp_path / f"{file_stem(SPACE)}.sqlite"
    path.write_bytes(b"this is not a database" * 100)
    fill(tmp_path)
    assert read_back(tmp_path) == COUNT + len(UNREADABLE)
    assert path.with_name(path.name + DAMAGED).read_bytes().startswith(b"this is not")
    assert [record.getMessage() for record in caplog.records] == [
        f"{path} was damaged: its features are computed again when needed"
    ]


def test_damage_is_repaired_while_another_process_has_the_file_open(tmp_path):
    path = fill(tmp_path)
    with open_store(tmp_path) as other:
        assert len(other.get(NAMES)) == COUNT
        with closing(sqlite3.connect(path)) as database, database:
            database.execute("UPDATE features SET vector = zeroblob(192) WHERE rowid = 5")
        assert read_back(tmp_path) == COUNT + len(UNREADABLE) - 1
        other.add([(NAMES[4], VECTORS[4])])
    assert read_back(tmp_path) == COUNT + len(UNREADABLE)


def test_text_that_has_become_bytes_is_damage(tmp_path):
    path = fill(tmp_path)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("UPDATE unreadable SET kind = CAST(kind AS BLOB) WHERE rowid = 2")
    assert read_back(tmp_path) == COUNT + len(UNREADABLE) - 1


def test_file_of_version_1_gets_checksums_without_recomputation(tmp_path, caplog):
    path = fill(tmp_path)
    with closing(sqlite3.connect(path)) as database:
        for table in ("features", "unreadable", "rates"):
            database.execute(f"ALTER TABLE {table} DROP COLUMN checksum")
        database.execute("PRAGMA user_version = 1")
    assert read_back(tmp_path) == COUNT + len(UNREADABLE)
    assert not caplog.records
    with closing(sqlite3.connect(path)) as database, database:
        assert database.execute("PRAGMA user_version").fetchone() == (VERSION,)
        database.execute("UPDATE features SET vector = zeroblob(192) WHERE rowid = 5")
    assert read_back(tmp_path) == COUNT + len(UNREADABLE) - 1
