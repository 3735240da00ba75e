"""Cores that a process may use: affinity mask and CPU quota of control groups."""

from pathlib import Path

import pytest

from outliers_bench.runtime import machine
from outliers_bench.runtime.machine import cores, cpu_quota


def write(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    return root


def version_2(path: str, **limits: str) -> dict[str, str]:
    files = {f"sys/fs/cgroup/{at}/cpu.max": limit for at, limit in limits.items()}
    return {"proc/self/cgroup": f"0::/{path}", **files}


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({}, None),
        (version_2("", **{".": "max 100000"}), None),
        (version_2("", **{".": "150000 100000"}), 1.5),
        (version_2("pod/box", pod="max 100000", **{"pod/box": "50000 100000"}), 0.5),
        (version_2("pod/box", pod="200000 100000", **{"pod/box": "400000 100000"}), 2.0),
        # The path is that of the host; mounted is the group of the container.
        (version_2("docker/3f2a", **{".": "300000 100000"}), 3.0),
    ],
    ids=["not Linux", "no quota", "quota", "own", "parent", "container"],
)
def test_quota_of_cgroup_v2(tmp_path, files, expected):
    assert cpu_quota(write(tmp_path, files)) == expected


@pytest.mark.parametrize("controllers", ["cpu", "cpu,cpuacct"])
@pytest.mark.parametrize(("quota", "expected"), [("-1", None), ("250000", 2.5)])
@pytest.mark.parametrize("at", ["", "docker/3f2a/"])
def test_quota_of_cgroup_v1(tmp_path, controllers, quota, expected, at):
    files = {
        "proc/self/cgroup": f"9:cpuset:/\n4:{controllers}:/docker/3f2a\n0::/",
        f"sys/fs/cgroup/{controllers}/{at}cpu.cfs_quota_us": quota,
        f"sys/fs/cgroup/{controllers}/{at}cpu.cfs_period_us": "100000",
    }
    assert cpu_quota(write(tmp_path, files)) == expected


def test_quota_with_both_versions_as_under_systemd(tmp_path):
    files = {
        "proc/self/cgroup": "1:cpu:/a\n0::/b",
        "sys/fs/cgroup/cpu/a/cpu.cfs_quota_us": "300000",
        "sys/fs/cgroup/cpu/a/cpu.cfs_period_us": "100000",
        "sys/fs/cgroup/b/cpu.max": "max 100000",
    }
    assert cpu_quota(write(tmp_path, files)) == 3.0


@pytest.mark.parametrize(
    ("affinity", "quota", "expected"),
    [(8, None, 8), (8, 1.5, 2), (8, 2.0, 2), (2, 6.0, 2), (8, 0.1, 1), (1, None, 1)],
)
def test_cores_are_the_smaller_of_both_rounded_up(monkeypatch, affinity, quota, expected):
    monkeypatch.setattr(machine, "_affinity", lambda: affinity)
    monkeypatch.setattr(machine, "cpu_quota", lambda: quota)
    assert cores() == expected


def test_cores_of_this_machine_are_in_range():
    import os

    assert 1 <= cores() <= (os.cpu_count() or 1)
