"""`python -m outliers_bench.cache` on a cache of several kinds, damaged and old."""

import os
import sqlite3
import time
from contextlib import closing

import numpy as np
import pytest

from outliers_bench.apps.cache.command import run
from outliers_bench.store.features import FeatureStore
from outliers_bench.store.files import write_arrays
from outliers_bench.store.memo import locked
from outliers_bench.store.seal import seal
from tests.toys import digest

DAY = 86400
SPACE = {"architecture": "MobileNet", "weights": "imagenet@keras-3.1", "image_size": 224}


def age(path, days):
    then = time.time() - days * DAY
    for file in [path, *path.rglob("*")]:
        os.utime(file, (then, then))


@pytest.fixture
def cache(tmp_path):
    """Features 10 days old, a model 50, a ranking 100, a download and an undelivered run 500."""
    with FeatureStore(tmp_path / "features", SPACE, 256) as store:
        rows = np.random.default_rng(0).random((100, 256), dtype=np.float32)
        store.add((digest(f"{number}"), row) for number, row in enumerate(rows))
    age(tmp_path / "features", 10)
    model = tmp_path / "models" / "mobilenet-1"
    model.mkdir(parents=True)
    (model / "model.bin").write_bytes(bytes(range(256)) * 2000)
    (model / "conversion.json").write_text('{"architecture": "MobileNet", "precision": "int8"}')
    seal(model)
    age(model, 50)
    (tmp_path / "rankings").mkdir()
    write_arrays(tmp_path / "rankings" / "keypoints-1.npz", scores=np.arange(1000.0))
    age(tmp_path / "rankings", 100)
    for folder in ("datasets", "outbox"):
        (tmp_path / folder / "one").mkdir(parents=True)
        (tmp_path / folder / "one" / "file.txt").write_text("x" * 1000)
        age(tmp_path / folder, 500)
    return tmp_path


def command(capsys, cache, *words):
    code = run([f"cache={cache}", *words])
    out, err = capsys.readouterr()
    return code, out, err


def files(cache):
    return {
        path.relative_to(cache).parts[0]
        for path in cache.rglob("*")
        if path.is_file() and not path.name.startswith(".")
    }


def store_file(cache):
    (path,) = (cache / "features").glob("*.sqlite")
    return path


def test_listing_says_what_files_belong_to_and_uses_none(cache, capsys):
    before = {path: path.stat().st_atime_ns for path in cache.rglob("*") if path.is_file()}
    code, out, _ = command(capsys, cache)
    assert code == 0
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert lines["features"].endswith("MobileNet imagenet@keras-3.1 224")
    assert lines["models"].endswith("MobileNet int8")
    assert "rankings by keypoints" in lines["rankings"]
    then = time.strftime("%Y-%m-%d", time.localtime(time.time() - 50 * DAY))
    assert then in lines["models"]
    sizes = sum(path.stat().st_size for path in before)
    assert lines["Total:"] == f"Total: {sizes / 1024:.1f} KiB in 7 files"
    assert before == {path: path.stat().st_atime_ns for path in before}


def test_damage_is_named_then_removed_or_repaired(cache, capsys):
    assert command(capsys, cache, "verify=true") == (0, "5 results verified, 0 damaged\n", "")
    with closing(sqlite3.connect(store_file(cache))) as database, database:
        database.execute("UPDATE features SET vector = zeroblob(1024) WHERE rowid IN (3, 7)")
    for path, position in (
        (cache / "models" / "mobilenet-1" / "model.bin", 300_000),
        (cache / "rankings" / "keypoints-1.npz", 4000),
    ):
        content = bytearray(path.read_bytes())
        content[position] ^= 1
        path.unlink()
        path.write_bytes(content)
    code, out, _ = command(capsys, cache, "verify=true")
    assert code == 1
    assert f"damaged: {store_file(cache)} (2 rows)" in out
    assert f"damaged: {cache / 'models' / 'mobilenet-1'} (model.bin)" in out
    assert f"damaged: {cache / 'rankings' / 'keypoints-1.npz'} (content)" in out
    assert "3 damaged\nNothing was changed; apply=true" in out
    assert files(cache) == {"features", "models", "rankings", "datasets", "outbox"}
    code, out, _ = command(capsys, cache, "verify=true", "apply=true")
    assert code == 0
    assert "repaired: " in out
    assert files(cache) == {"features", "datasets", "outbox"}
    with FeatureStore(cache / "features", SPACE, 256) as store:
        assert len(store.known([digest(f"{number}") for number in range(100)])) == 98
    assert command(capsys, cache, "verify=true")[0] == 0


def test_pruning_by_age_is_a_dry_run_by_default(cache, capsys):
    code, out, _ = command(capsys, cache, "older_than=7w")
    assert code == 0
    assert "Nothing was removed; apply=true removes 2 results" in out
    assert files(cache) == {"features", "models", "rankings", "datasets", "outbox"}
    command(capsys, cache, "older_than=7w", "apply=true")
    assert files(cache) == {"features", "datasets", "outbox"}


def test_pruning_by_size_removes_what_was_used_least_recently(cache, capsys):
    sizes = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    limit = f"max_size={(sizes - 100) / 1e6:.6f}MB"
    command(capsys, cache, limit, "apply=true")
    assert files(cache) == {"features", "models", "datasets", "outbox"}
    command(capsys, cache, "max_size=0MB", "apply=true")
    assert files(cache) == {"datasets", "outbox"}, "downloads and undelivered runs stay"


def test_what_is_in_use_is_not_removed(cache, capsys):
    with (
        FeatureStore(cache / "features", SPACE, 256) as store,
        locked(cache / "models" / "mobilenet-1"),
    ):
        assert len(store.get([digest("1")])) == 1
        age(cache / "features", 10)
        code, out, _ = command(capsys, cache, "max_size=0MB", "apply=true")
    assert code == 0
    assert out.count("in use, not removed") == 2
    assert files(cache) == {"features", "models", "datasets", "outbox"}
    age(cache / "models", 0)
    command(capsys, cache, "max_size=0MB", "apply=true", "kinds=[models]")
    assert "models" in files(cache), "used within the hour"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["older_than=90"], "older_than=90: give a number and one of h, d, w, such as 90d"),
        (["max_size=20G"], "max_size=20G: give a number and one of MB, GB, TB"),
        (["kinds=[feature]"], "kinds=feature: no kind of file in the cache"),
        (["apply=true"], "apply=true needs verify=true, older_than=90d or max_size=20GB"),
        (["verify=true", "older_than=1d"], "two steps"),
        (["older_than=1d", "kinds=[datasets]"], "kinds=datasets: never removed"),
    ],
)
def test_wrong_options_are_one_line(cache, capsys, words, message):
    code, out, err = command(capsys, cache, *words)
    assert (code, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1


def test_a_folder_that_does_not_exist_is_one_line(tmp_path, capsys):
    code, _, err = command(capsys, tmp_path / "nowhere")
    assert code == 2
    assert "there is no such folder" in err
