"""Cached results: made once, damaged ones made again, atomically, with a limit."""

import multiprocessing
import os
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.runtime.lock import hold_lock
from outliers_bench.store.files import read_arrays, write_arrays
from outliers_bench.store.memo import load_or_make, locked


class Results:
    """Results of one kind, which count how often they are made."""

    def __init__(self, folder):
        self.folder = folder
        self.made = []

    def get(self, name, **options):
        path = self.folder / name

        def make():
            self.made.append(name)
            return np.arange(3)

        return load_or_make(path, read=self.read, make=make, write=self.write, **options)

    def names(self):
        return sorted(path.name for path in self.folder.iterdir())

    def read(self, path):
        return read_arrays(path)["values"]

    def write(self, values, path):
        write_arrays(path, values=values)


class Folders(Results):
    """Results that are folders of two files."""

    def read(self, path):
        return np.concatenate([np.load(path / "first.npy"), np.load(path / "second.npy")])

    def write(self, values, path):
        path.mkdir()
        np.save(path / "first.npy", values[:1])
        np.save(path / "second.npy", values[1:])


@pytest.fixture(params=[Results, Folders], ids=["file", "folder"])
def results(request, tmp_path):
    return request.param(tmp_path / "results")


def test_a_result_is_made_once_and_read_afterward(results):
    for _ in range(3):
        assert results.get("one").tolist() == [0, 1, 2]
    assert results.made == ["one"]
    results.get("other")
    assert results.made == ["one", "other"]
    assert results.names() == ["one", "other"], "no locks, no temporary files"


def test_a_damaged_result_is_replaced(results):
    results.get("one")
    damaged = results.folder / "one"
    if damaged.is_dir():
        (damaged / "second.npy").unlink()
    else:
        damaged.write_bytes(damaged.read_bytes()[:-30])
    assert results.get("one").tolist() == results.get("one").tolist() == [0, 1, 2]
    assert results.made == ["one", "one"]
    assert results.names() == ["one"]


def test_a_file_in_the_place_of_a_folder_is_replaced(tmp_path):
    (tmp_path / "one").write_bytes(b"from an earlier version")
    folders = Folders(tmp_path)
    for _ in range(2):
        assert folders.get("one").tolist() == [0, 1, 2]
    assert folders.made == ["one"]


def test_an_interrupted_write_leaves_nothing(results):
    write = results.write

    def interrupted(values, path):
        write(values, path)
        raise KeyboardInterrupt

    results.write = interrupted
    with pytest.raises(KeyboardInterrupt):
        results.get("one")
    assert results.names() == []


def test_the_oldest_results_beyond_the_limit_are_removed(results):
    for number in range(4):
        results.get(f"{number}", limit=2)
        for path in results.folder.iterdir():
            os.utime(path, (path.stat().st_mtime - 10,) * 2)
    assert results.names() == ["2", "3"]


def test_a_result_that_cannot_be_written_is_returned_with_a_warning(results, caplog):
    results.folder.write_bytes(b"a file, not a folder")
    assert results.get("one").tolist() == [0, 1, 2]
    assert "could not be written" in caplog.text


def _get_slowly(folder, made, together):
    def make():
        made.append(os.getpid())
        time.sleep(0.5)
        return np.arange(3)

    results = Results(folder)
    together.wait(60)
    load_or_make(folder / "one", read=results.read, make=make, write=results.write)


def test_of_several_processes_one_makes_the_result(tmp_path):
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager:
        made = manager.list()
        arguments = (tmp_path, made, context.Barrier(3))
        workers = [context.Process(target=_get_slowly, args=arguments) for _ in range(3)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join(60)
        assert [worker.exitcode for worker in workers] == [0, 0, 0]
        assert len(made) == 1


def test_who_waited_for_a_failed_one_is_waited_for(tmp_path):
    is_held, end = threading.Event(), threading.Event()

    def hold():
        with locked(tmp_path / "one"):
            is_held.set()
            end.wait(60)

    thread = threading.Thread(target=hold)
    with suppress(InterruptedError), locked(tmp_path / "one"):
        thread.start()
        time.sleep(0.5)  # it waits now, as another process would
        assert not is_held.is_set()
        raise InterruptedError
    assert is_held.wait(60)
    with pytest.raises(BenchError, match="busy"), hold_lock(tmp_path / ".one.lock", refused="busy"):
        pass
    end.set()
    thread.join(60)
    assert not list(tmp_path.iterdir())
