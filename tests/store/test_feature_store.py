"""Feature store: transactions, concurrent processes, and damaged files."""

import os
import signal
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.store.features import FeatureStore, file_stem
from outliers_bench.types import Reason
from tests.toys import digest

SPACE = {"architecture": "Toy Net", "image_size": 8}


def vector(value: float) -> np.ndarray:
    return np.full(4, value, dtype=np.float32)


def open_store(folder: Path) -> FeatureStore:
    return FeatureStore(folder, SPACE, 4)


def test_vectors_are_stored_exactly(tmp_path):
    value = np.random.default_rng(0).normal(size=4).astype(np.float32)
    with open_store(tmp_path) as store:
        store.add([(digest("a"), value)])
    with open_store(tmp_path) as store:
        got = store.get([digest("a"), digest("b")])
    assert list(got) == [digest("a")]
    assert got[digest("a")].tobytes() == value.tobytes()


def test_more_vectors_than_one_lookup(tmp_path):
    names = [digest(str(i)) for i in range(3001)]
    with open_store(tmp_path) as store:
        store.add((name, vector(i)) for i, name in enumerate(names))
        got = store.get(names)
        assert [got[name][0] for name in names] == list(range(3001))
        assert store.known(names) == set(names)


def test_unreadable_images_are_stored_with_the_reason(tmp_path):
    with open_store(tmp_path) as store:
        reason = Reason("unsupported", "is a JPEG of a rare kind")
        store.add([], [(digest("a"), reason)])
        assert store.known([digest("a"), digest("b")]) == {digest("a")}
        assert store.unreadable([digest("a"), digest("b")]) == {digest("a"): reason}
        assert store.get([digest("a")]) == {}


def test_first_vector_is_not_replaced(tmp_path):
    with open_store(tmp_path) as one, open_store(tmp_path) as two:
        one.add([(digest("a"), vector(1))])
        two.add([(digest("a"), vector(2)), (digest("b"), vector(3))])
        got = one.get([digest("a"), digest("b")])
    assert got[digest("a")][0] == 1
    assert got[digest("b")][0] == 3


def test_rate_is_over_all_computed_vectors(tmp_path):
    with open_store(tmp_path) as store:
        assert store.images_per_second() is None
        store.add([(digest("a"), vector(1)), (digest("b"), vector(1))], seconds=1.0)
        store.add([(digest("c"), vector(1))], seconds=0.5)
        assert store.images_per_second() == pytest.approx(2.0)
        store.add([(digest("d"), vector(1))], seconds=0.1, how="elsewhere")
        assert store.images_per_second() == pytest.approx(2.0)
        assert store.images_per_second("elsewhere") == pytest.approx(10.0)


def test_full_disk_is_reported_and_loses_nothing(tmp_path):
    with open_store(tmp_path) as store:
        store.add([(digest("a"), vector(1))])
        store._db.execute("PRAGMA max_page_count = 1")
        with pytest.raises(BenchError, match=r"full.*start again"):
            store.add((digest(str(i)), vector(i)) for i in range(5000))
        assert set(store.get([digest("a"), digest("7")])) == {digest("a")}


def test_different_spaces_have_different_files():
    stems = {
        file_stem(space)
        for space in (SPACE, {**SPACE, "image_size": 9}, {**SPACE, "weights": "x"}, {})
    }
    assert len(stems) == 4
    assert file_stem(SPACE).startswith("toy-net-")
    assert file_stem(dict(reversed(SPACE.items()))) == file_stem(SPACE)


def test_killed_process_loses_no_committed_batch(tmp_path):
    code = f"""
        import os, signal
        import numpy as np
        from pathlib import Path
        from outliers_bench.store.features import FeatureStore
        from tests.toys import digest
        store = FeatureStore(Path({str(tmp_path)!r}), {SPACE!r}, 4)
        for batch in range(5):
            store.add((digest(f"{{batch}}-{{i}}"), np.full(4, batch, "f4")) for i in range(100))
        store._db.execute("INSERT INTO features VALUES (x'00', x'00', 0)")  # not committed
        os.kill(os.getpid(), signal.SIGKILL)
    """
    process = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], check=False)
    assert process.returncode == -signal.SIGKILL
    names = [digest(f"{batch}-{i}") for batch in range(5) for i in range(100)]
    with open_store(tmp_path) as store:
        got = store.get(names)
        assert len(got) == 500
        assert [got[name][0] for name in names[::100]] == [0, 1, 2, 3, 4]
        assert b"\x00" not in store.known([b"\x00"])


def test_two_processes_write_concurrently(tmp_path):
    code = """
        import sys
        import numpy as np
        from pathlib import Path
        from outliers_bench.store.features import FeatureStore
        from tests.toys import digest
        number = int(sys.argv[2])
        with FeatureStore(Path(sys.argv[1]), {"architecture": "Toy Net", "image_size": 8}, 4) as s:
            for i in range(200):
                s.add([(digest(f"both-{i}"), np.full(4, i, "f4")),
                       (digest(f"{number}-{i}"), np.full(4, number, "f4"))])
    """
    command = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path)]
    writers = [subprocess.Popen([*command, str(number)]) for number in (1, 2)]
    assert [writer.wait() for writer in writers] == [0, 0]
    with open_store(tmp_path) as store:
        both = store.get([digest(f"both-{i}") for i in range(200)])
        assert [both[digest(f"both-{i}")][0] for i in range(200)] == list(range(200))
        for number in (1, 2):
            assert len(store.get([digest(f"{number}-{i}") for i in range(200)])) == 200


def test_vectors_of_another_length_are_refused(tmp_path):
    with open_store(tmp_path) as store:
        store.add([(digest("a"), vector(1))])
    with (
        FeatureStore(tmp_path, SPACE, 5) as store,
        pytest.raises(BenchError, match="another length"),
    ):
        store.get([digest("a")])


@pytest.mark.skipif(os.geteuid() == 0, reason="root can write anywhere")
def test_unwritable_folder_is_reported(tmp_path):
    (tmp_path / "features").mkdir(mode=0o500)
    with pytest.raises(BenchError, match=r"cache\.dir"):
        open_store(tmp_path / "features" / "x")


def test_cache_that_is_a_file_is_reported(tmp_path):
    (tmp_path / "cache").write_text("")
    with pytest.raises(BenchError, match=r"cache\.dir"):
        open_store(tmp_path / "cache" / "features")


def test_file_is_plain_sqlite(tmp_path):
    with open_store(tmp_path) as store:
        store.add([(digest("a"), vector(1))])
        path = store.path
    with sqlite3.connect(path) as db:
        assert dict(db.execute("SELECT * FROM space")) == {
            "architecture": '"Toy Net"',
            "image_size": "8",
        }
