"""Background writer of the feature store: no waiting, no loss, and errors in the caller."""

import sqlite3
import threading
import time

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.store import database
from outliers_bench.store import writer as writer_module
from outliers_bench.store.features import FeatureStore
from outliers_bench.store.writer import MAX_QUEUED_BATCHES, Writer
from outliers_bench.types import Reason
from tests.toys import digest

CUT_SHORT = Reason("unreadable", "cut short")
SPACE = {"architecture": "Toy Net", "image_size": 8}


def vector(value):
    return np.full(4, value, dtype=np.float32)


def make_writer(folder, undecodable=lambda: []):
    return Writer(lambda: FeatureStore(folder, SPACE, 4), undecodable, how="here")


def load(folder, count):
    with FeatureStore(folder, SPACE, 4) as store:
        return store.get([digest(str(i)) for i in range(count)])


def add_all(writer, numbers):
    for i in numbers:
        writer.add(digest(str(i)), vector(i))


def write_all(writer, numbers):
    with writer:
        add_all(writer, numbers)


def store_threads():
    return [thread for thread in threading.enumerate() if thread.name == "store"]


def commit_every_vector(monkeypatch):
    monkeypatch.setattr(writer_module, "COMMIT_SECONDS", 0.0)


def test_all_vectors_are_stored_on_exit(tmp_path):
    write_all(make_writer(tmp_path, undecodable=lambda: [(digest("x"), CUT_SHORT)]), range(1000))
    vectors = load(tmp_path, 1000)
    assert [vectors[digest(str(i))][0] for i in range(1000)] == list(range(1000))
    with FeatureStore(tmp_path, SPACE, 4) as store:
        assert store.unreadable([digest("x")]) == {digest("x"): CUT_SHORT}
    assert store_threads() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, BenchError, GeneratorExit])
def test_vectors_before_an_error_are_stored(tmp_path, error):
    def write_and_raise():
        with make_writer(tmp_path) as writer:
            add_all(writer, range(7))
            raise error

    with pytest.raises(error):
        write_and_raise()
    assert len(load(tmp_path, 7)) == 7
    assert store_threads() == []


def test_size_of_commits_is_limited(tmp_path, monkeypatch):
    commits = []
    add = FeatureStore.add
    monkeypatch.setattr(
        FeatureStore, "add", lambda *args, **kw: commits.append(len(args[1])) or add(*args, **kw)
    )
    monkeypatch.setattr(writer_module, "COMMIT_SECONDS", 1000.0)
    write_all(make_writer(tmp_path), range(100))
    assert commits == [100]
    monkeypatch.setattr(writer_module, "COMMIT_BYTES", 25 * 16)
    write_all(make_writer(tmp_path), range(100, 190))
    assert commits == [100, 25, 25, 25, 15]


def test_caller_does_not_wait_for_another_process(tmp_path, monkeypatch):
    """Up to the maximum number of queued batches, which are all stored in the end."""
    commit_every_vector(monkeypatch)
    load(tmp_path, 0)
    (file,) = tmp_path.glob("*.sqlite")
    other = sqlite3.connect(file, isolation_level=None)
    with make_writer(tmp_path) as writer:
        writer.add(digest("0"), vector(0))
        while not load(tmp_path, 1):
            time.sleep(0.001)
        other.execute("BEGIN IMMEDIATE")
        add_all(writer, range(1, MAX_QUEUED_BATCHES + 1))  # returns although nothing can be stored
        assert len(load(tmp_path, 9)) == 1
        other.execute("COMMIT")
    other.close()
    assert len(load(tmp_path, 9)) == MAX_QUEUED_BATCHES + 1


def test_full_disk_is_reported_to_the_caller(tmp_path, monkeypatch):
    commit_every_vector(monkeypatch)

    def open_small_store():
        store = FeatureStore(tmp_path, SPACE, 4)
        store._db.execute("PRAGMA max_page_count = 12")
        return store

    numbers = iter(range(10_000))  # a few dozen fit
    with pytest.raises(BenchError, match=r"full.*start again"):
        write_all(Writer(open_small_store, lambda: [], how=""), numbers)
    assert next(numbers, None), "reported during the computation, not at the end"
    assert store_threads() == []


def test_locked_file_is_reported_to_the_caller(tmp_path, monkeypatch):
    commit_every_vector(monkeypatch)
    load(tmp_path, 0)
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.05)
    (file,) = tmp_path.glob("*.sqlite")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    numbers = iter(range(1000))
    with pytest.raises(BenchError, match=r"locked"):
        write_all(make_writer(tmp_path), numbers)
    other.close()
    assert next(numbers, None), "reported during the computation, not at the end"


def test_rates_exclude_waiting_for_the_file(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(writer_module.time, "perf_counter", lambda: clock[0])
    with make_writer(tmp_path) as writer:
        put = writer._queue.put

        def put_slowly(batch):
            clock[0] += 30.0  # the queue was full
            put(batch)

        writer._queue.put = put_slowly
        for i in range(40):
            clock[0] += 0.1
            writer.add(digest(str(i)), vector(i))
    with FeatureStore(tmp_path, SPACE, 4) as store:
        assert store.images_per_second("here") == pytest.approx(10.0)
