"""Cores that a process may use: affinity mask and CPU quota of its container; threads."""

import os

import pytest

from outliers_bench.runtime import machine
from outliers_bench.runtime.machine import cores, cpu_quota, map_in_threads


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        ({"cpu.max": "max 100000"}, None),
        ({"cpu.max": "150000 100000"}, 1.5),
        ({"cpu/cpu.cfs_quota_us": "-1", "cpu/cpu.cfs_period_us": "100000"}, None),
        ({"cpu/cpu.cfs_quota_us": "250000", "cpu/cpu.cfs_period_us": "100000"}, 2.5),
    ],
    ids=["not Linux", "v2, no quota", "v2", "v1, no quota", "v1"],
)
def test_quota_of_a_container(tmp_path, files, expected):
    (tmp_path / "cpu").mkdir()
    for name, text in files.items():
        (tmp_path / name).write_text(text + "\n")
    assert cpu_quota(tmp_path) == expected


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"),
    [(8, None, 8), (8, 1.5, 2), (8, 2.0, 2), (2, 6.0, 2), (8, 0.1, 1), (1, None, 1)],
)
def test_cores_are_the_smaller_of_both_rounded_up(monkeypatch, affinity, quota, expected):
    monkeypatch.setattr(machine, "_affinity", lambda: affinity)
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert cores() == expected


def test_cores_of_this_machine_are_in_range():
    assert 1 <= cores() <= (os.cpu_count() or 1)


def test_an_error_in_a_thread_is_raised():
    def work(item):
        return 1 // item

    assert list(map_in_threads(work, [1, 1])) == [1, 1]
    with pytest.raises(ZeroDivisionError):
        list(map_in_threads(work, [1, 0, 1]))


def test_threads_submit_few_items_in_advance(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 1)
    submitted = []
    results = map_in_threads(lambda item: item, (submitted.append(i) or i for i in range(100)))
    assert next(results) == 0
    assert len(submitted) <= 4
    assert list(results) == list(range(1, 100))
