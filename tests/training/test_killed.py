"""The real command line, killed while it trains, and twice at once."""

import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.cli import bench
from tests.training_toys import same_weights

pytestmark = pytest.mark.slow

DATA = ("data=synthetic", "data.classes=4", "data.individuals=5", "data.images=20", "data.size=48")
QUIET = ("contact_sheets.queries=0", "k=[1]")
NETWORKS = {
    "cnn_scratch": ("model=cnn_scratch", "model.image_size=48", "model.batch_size=16"),
    "transfer": (
        *("model=transfer", "model.backbone=efficientnet_lite0", "model.image_size=32"),
        "model.pooling=avg",
        *("model.trainable=last_layers", "augment=original", "model.batch_size=16"),
    ),
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("desk")


def started(desk: Path, cache: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", *arguments],
        cwd=desk,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(cache)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def epochs_done(cache: Path) -> int:
    for path in cache.glob("trained/*/state.json"):
        return len(json.loads(path.read_text())["epochs"])
    return 0


def folder_in(cache: Path) -> Path:
    (folder,) = (cache / "trained").iterdir()
    return folder


def figures(folder: Path) -> list[dict]:
    said = json.loads((folder / "training.json").read_text())
    return [{**epoch, "seconds": 0} for epoch in said["epochs"]]


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.time() + 300
    while not condition() and process.poll() is None and time.time() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("network", NETWORKS)
def test_killed_in_the_middle_of_an_epoch_it_ends_as_if_undisturbed(network, desk, tmp_path):
    arguments = (*DATA, *QUIET, *NETWORKS[network], "model.epochs=5", "deterministic=true")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = started(desk, killed, *arguments)
    wait_for(lambda: epochs_done(killed) >= 2, process)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "it was killed while it worked"
    assert epochs_done(killed) == 2, "in the third epoch"
    done = bench(*arguments, cwd=desk, OUTLIERS_BENCH_CACHE=str(killed))
    assert done.code == 0, done.err
    assert bench(*arguments, cwd=desk, OUTLIERS_BENCH_CACHE=str(whole)).code == 0
    assert folder_in(killed).name == folder_in(whole).name
    assert figures(folder_in(killed)) == figures(folder_in(whole))
    assert same_weights(folder_in(killed), folder_in(whole))


def test_two_processes_that_want_the_same_network(desk, tmp_path):
    """One trains it, the other waits and takes it."""
    cache = tmp_path / "cache"
    arguments = (*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.epochs=3")
    both = [started(desk, cache, *arguments) for _ in range(2)]
    said = [process.communicate(timeout=500) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    (first, second) = (re.findall(r"MAP@R.*", out) for out, _ in said)
    assert first == second
    folder = folder_in(cache)
    files = {path.name for path in folder.iterdir()} - {".lock", "run.txt"}
    assert files == {*("model.keras", "summary.txt", "training.json", "example.npy", "recipe.json")}
    assert len(figures(folder)) == 3


def test_a_stored_network_needs_no_tensorflow(desk, tmp_path):
    arguments = (*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.epochs=1")
    cache = str(tmp_path / "cache")
    assert bench(*arguments, cwd=desk, OUTLIERS_BENCH_CACHE=cache).code == 0
    again = bench(
        *(*arguments, "pca.n=2", "index=kd_tree"),
        cwd=desk,
        OUTLIERS_BENCH_CACHE=cache,
        PYTHONPROFILEIMPORTTIME="1",
    )
    assert again.code == 0, again.err
    imported = set(re.findall(r"\|\s+([\w.]+)$", again.err, flags=re.MULTILINE))
    assert "outliers_bench.benchmark" in imported
    assert not imported & {"tensorflow", "keras", "openvino"}


def test_a_loss_that_is_no_number_is_told_in_a_line(desk, tmp_path):
    done = bench(
        *(*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.optimizer=sgd"),
        *("model.learning_rate=100", "model.epochs=3"),
        cwd=desk,
        OUTLIERS_BENCH_CACHE=str(tmp_path / "cache"),
    )
    assert done.code == 2, done.err
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert len(lines) == 1, done.err
    assert re.search(r"error: .*the loss became \w+ .*model\.learning_rate", lines[0])


def measured(done) -> list[str]:
    return re.findall(r"MAP@R.*", done.out)


def test_a_network_is_taken_from_mlflow_by_its_run(desk, tmp_path):
    cache = str(tmp_path / "cache")
    small = (*DATA, *QUIET, f"tracking.uri=sqlite:///{tmp_path}/runs.db")
    network = NETWORKS["transfer"]
    done = bench(*small, *network, "model.epochs=1", cwd=desk, OUTLIERS_BENCH_CACHE=cache)
    assert done.code == 0, done.err
    weights = f"model.weights=runs:/{last_run(tmp_path)}/model"

    again = bench(*small, *network, weights, cwd=desk, OUTLIERS_BENCH_CACHE=cache)
    assert again.code == 0, again.err
    assert measured(again) == measured(done) != []
    third = bench(
        *(*small, *network, weights, "pca.n=2"),
        cwd=desk,
        OUTLIERS_BENCH_CACHE=cache,
        PYTHONPROFILEIMPORTTIME="1",
    )
    assert third.code == 0, third.err
    imported = set(re.findall(r"\|\s+([\w.]+)$", third.err, flags=re.MULTILINE))
    assert "outliers_bench.benchmark" in imported
    assert not imported & {"tensorflow", "keras", "openvino"}
    assert len(list((tmp_path / "cache" / "trained").iterdir())) == 1, "nothing else was trained"

    backbone = ("model=efficientnet_lite0", "model.image_size=32")
    alone = bench(*small, *backbone, weights, cwd=desk, OUTLIERS_BENCH_CACHE=cache)
    assert alone.code == 0, alone.err
    embedded = bench(
        *(*small, *network, weights, "model.embedding=backbone"),
        cwd=desk,
        OUTLIERS_BENCH_CACHE=cache,
    )
    assert embedded.code == 0, embedded.err
    assert measured(alone) == measured(embedded), "the backbone with what it has learned"

    wrong = bench(
        *(*small, *network, "model.weights=runs:/" + "0" * 32 + "/model"),
        cwd=desk,
        OUTLIERS_BENCH_CACHE=cache,
    )
    assert wrong.code == 2, wrong.err
    (line,) = [line for line in wrong.err.splitlines() if line.strip()]
    assert "knows no such run" in line


def last_run(folder: Path) -> str:
    return runs_in(folder)[0][0]


def runs_in(folder: Path) -> list[tuple[str, str]]:
    """Ids and states of all runs, the latest first."""
    with sqlite3.connect(folder / "runs.db") as store:
        asked = "select run_uuid, status from runs order by start_time desc"
        return store.execute(asked).fetchall()


def test_interrupted_from_the_keyboard_it_is_told_and_goes_on(desk, tmp_path):
    cache = tmp_path / "cache"
    arguments = (*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.epochs=6")
    arguments = (*arguments, f"tracking.uri=sqlite:///{tmp_path}/runs.db")
    process = started(desk, cache, *arguments)
    wait_for(lambda: epochs_done(cache) >= 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert [state for _, state in runs_in(tmp_path)] == ["KILLED"]
    begun = epochs_done(cache)
    assert 2 <= begun < 6
    before = json.loads(next(cache.glob("trained/*/state.json")).read_text())["epochs"]
    done = bench(*arguments, cwd=desk, OUTLIERS_BENCH_CACHE=str(cache))
    assert done.code == 0, done.err
    said = json.loads((folder_in(cache) / "training.json").read_text())["epochs"]
    assert said[:begun] == before, "it went on"
    assert len(said) == 6
    assert [state for _, state in runs_in(tmp_path)] == ["FINISHED", "KILLED"]
