"""Storing beside the work: nothing waits, nothing is lost, and what goes wrong is told."""

import sqlite3
import threading
import time

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.store import features as store_module
from outliers_bench.store import writer as module
from outliers_bench.store.features import FeatureStore
from outliers_bench.store.writer import MAX_QUEUED_BATCHES, Writer
from tests.toys import digest

SPACE = {"architecture": "Toy Net", "image_size": 8}


def vector(value):
    return np.full(4, value, dtype=np.float32)


def writer(folder, damaged=lambda: []):
    return Writer(lambda: FeatureStore(folder, SPACE, 4), damaged, how="here")


def stored(folder, count):
    with FeatureStore(folder, SPACE, 4) as store:
        return store.get([digest(str(i)) for i in range(count)])


def store(storing, numbers):
    for i in numbers:
        storing.add(digest(str(i)), vector(i))


def work(storing, numbers):
    with storing:
        store(storing, numbers)


def store_threads():
    return [thread for thread in threading.enumerate() if thread.name == "store"]


def at_every_vector(monkeypatch):
    monkeypatch.setattr(module, "COMMIT_SECONDS", 0.0)


def test_all_is_stored_when_it_is_left(tmp_path):
    work(writer(tmp_path, damaged=lambda: [(digest("x"), "cut short")]), range(1000))
    found = stored(tmp_path, 1000)
    assert [found[digest(str(i))][0] for i in range(1000)] == list(range(1000))
    with FeatureStore(tmp_path, SPACE, 4) as kept:
        assert kept.unreadable([digest("x")]) == {digest("x"): "cut short"}
    assert store_threads() == []


@pytest.mark.parametrize("error", [KeyboardInterrupt, BenchError, GeneratorExit])
def test_what_was_computed_before_an_error_is_stored(tmp_path, error):
    def work():
        with writer(tmp_path) as storing:
            store(storing, range(7))
            raise error

    with pytest.raises(error):
        work()
    assert len(stored(tmp_path, 7)) == 7
    assert store_threads() == []


def test_commits_are_bounded_and_come_sooner_for_many_bytes(tmp_path, monkeypatch):
    commits = []
    add = FeatureStore.add
    monkeypatch.setattr(
        FeatureStore, "add", lambda *args, **kw: commits.append(len(args[1])) or add(*args, **kw)
    )
    monkeypatch.setattr(module, "COMMIT_SECONDS", 1000.0)
    work(writer(tmp_path), range(100))
    assert commits == [100]
    monkeypatch.setattr(module, "COMMIT_BYTES", 25 * 16)
    work(writer(tmp_path), range(100, 190))
    assert commits == [100, 25, 25, 25, 15]


def test_whoever_computes_does_not_wait_while_another_process_writes(tmp_path, monkeypatch):
    """Only when as many batches wait as may, and then all are stored in the end."""
    at_every_vector(monkeypatch)
    stored(tmp_path, 0)
    (file,) = tmp_path.glob("*.sqlite")
    other = sqlite3.connect(file, isolation_level=None)
    with writer(tmp_path) as storing:
        storing.add(digest("0"), vector(0))
        while not stored(tmp_path, 1):
            time.sleep(0.001)
        other.execute("BEGIN IMMEDIATE")
        store(storing, range(1, MAX_QUEUED_BATCHES + 1))  # returns though nothing can be stored
        assert len(stored(tmp_path, 9)) == 1
        other.execute("COMMIT")
    other.close()
    assert len(stored(tmp_path, 9)) == MAX_QUEUED_BATCHES + 1


def test_no_room_left_reaches_whoever_computes(tmp_path, monkeypatch):
    at_every_vector(monkeypatch)

    def small():
        store = FeatureStore(tmp_path, SPACE, 4)
        store._db.execute("PRAGMA max_page_count = 12")
        return store

    numbers = iter(range(10_000))  # some dozens fit
    with pytest.raises(BenchError, match=r"full.*start again"):
        work(Writer(small, lambda: [], how=""), numbers)
    assert next(numbers, None), "told while there is something to compute, not at the end"
    assert store_threads() == []


def test_a_file_that_stays_locked_reaches_whoever_computes(tmp_path, monkeypatch):
    at_every_vector(monkeypatch)
    stored(tmp_path, 0)
    monkeypatch.setattr(store_module, "BUSY_SECONDS", 0.05)
    (file,) = tmp_path.glob("*.sqlite")
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    numbers = iter(range(1000))
    with pytest.raises(BenchError, match=r"locked"):
        work(writer(tmp_path), numbers)
    other.close()
    assert next(numbers, None), "told while there is something to compute, not at the end"


def test_rates_leave_out_the_wait_for_the_file(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr(module.time, "perf_counter", lambda: clock[0])
    with writer(tmp_path) as storing:
        hand_over = storing._queue.put

        def slow(batch):
            clock[0] += 30.0  # the queue was full
            hand_over(batch)

        storing._queue.put = slow
        for i in range(40):
            clock[0] += 0.1
            storing.add(digest(str(i)), vector(i))
    with FeatureStore(tmp_path, SPACE, 4) as kept:
        assert kept.images_per_second("here") == pytest.approx(10.0)
