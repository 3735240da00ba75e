"""Atomic writes next to other writers, living and killed."""

import os
import time

import pytest

from outliers_bench.store.files import ABANDONED_AFTER, write_atomically


@pytest.mark.parametrize("kind", ["file", "folder"])
def test_only_leftovers_of_killed_writers_are_removed(tmp_path, kind):
    """Another writer's young file stays: it may be half way through the same result."""
    path = tmp_path / "result.npz"
    leftovers = []
    for _ in range(2):
        with write_atomically(path) as temporary:
            temporary.touch()
            leftovers.append(temporary)
    young, old = leftovers
    for leftover in leftovers:
        if kind == "file":
            leftover.write_bytes(b"half")
        else:
            leftover.mkdir()
    long_ago = time.time() - ABANDONED_AFTER - 60
    os.utime(old, (long_ago, long_ago))
    with write_atomically(path) as temporary:
        temporary.write_bytes(b"whole")
    assert sorted(tmp_path.iterdir()) == sorted([path, young])
    assert path.read_bytes() == b"whole"
