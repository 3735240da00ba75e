"""Training on the command line: killed, interrupted, and run twice concurrently."""

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

from tests.command_line import bench
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
def workdir(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("workdir")


def start(workdir: Path, cache: Path, *arguments: str) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", *arguments],
        cwd=workdir,
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


def epoch_metrics(folder: Path) -> list[dict]:
    record = json.loads((folder / "training.json").read_text())
    return [{**epoch, "seconds": 0} for epoch in record["epochs"]]


def wait_for(condition, process: subprocess.Popen) -> None:
    deadline = time.time() + 300
    while not condition() and process.poll() is None and time.time() < deadline:
        time.sleep(0.02)


@pytest.mark.parametrize("network", NETWORKS)
def test_training_killed_within_an_epoch_resumes_to_identical_weights(network, workdir, tmp_path):
    arguments = (*DATA, *QUIET, *NETWORKS[network], "model.epochs=5", "deterministic=true")
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    process = start(workdir, killed, *arguments)
    wait_for(lambda: epochs_done(killed) >= 2, process)
    time.sleep(0.2)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "killed while it was training"
    assert epochs_done(killed) == 2, "in the third epoch"
    done = bench(*arguments, cwd=workdir, OUTLIERS_BENCH_CACHE=str(killed))
    assert done.code == 0, done.err
    assert bench(*arguments, cwd=workdir, OUTLIERS_BENCH_CACHE=str(whole)).code == 0
    assert folder_in(killed).name == folder_in(whole).name
    assert epoch_metrics(folder_in(killed)) == epoch_metrics(folder_in(whole))
    assert same_weights(folder_in(killed), folder_in(whole))


def test_two_processes_that_need_the_same_network(workdir, tmp_path):
    """One process trains the network; the other waits and loads it."""
    cache = tmp_path / "cache"
    arguments = (*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.epochs=3")
    processes = [start(workdir, cache, *arguments) for _ in range(2)]
    outputs = [process.communicate(timeout=500) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outputs
    (first, second) = (re.findall(r"MAP@R.*", out) for out, _ in outputs)
    assert first == second
    folder = folder_in(cache)
    files = {path.name for path in folder.iterdir()} - {".lock", "run.txt"}
    assert files == {*("model.keras", "summary.txt", "training.json", "example.npy", "recipe.json")}
    assert len(epoch_metrics(folder)) == 3


def test_cached_embeddings_need_no_tensorflow(workdir, tmp_path):
    arguments = (*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.epochs=1")
    cache = str(tmp_path / "cache")
    assert bench(*arguments, cwd=workdir, OUTLIERS_BENCH_CACHE=cache).code == 0
    again = bench(
        *(*arguments, "pca.n=2", "index=kd_tree"),
        cwd=workdir,
        OUTLIERS_BENCH_CACHE=cache,
        PYTHONPROFILEIMPORTTIME="1",
    )
    assert again.code == 0, again.err
    imported = set(re.findall(r"\|\s+([\w.]+)$", again.err, flags=re.MULTILINE))
    assert "outliers_bench.benchmark" in imported
    assert not imported & {"tensorflow", "keras", "openvino"}


def test_a_non_finite_loss_is_reported_in_one_line(workdir, tmp_path):
    done = bench(
        *(*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.optimizer=sgd"),
        *("model.learning_rate=100", "model.epochs=3"),
        cwd=workdir,
        OUTLIERS_BENCH_CACHE=str(tmp_path / "cache"),
    )
    assert done.code == 2, done.err
    lines = [line for line in done.err.splitlines() if line.strip()]
    assert len(lines) == 1, done.err
    assert re.search(r"error: .*the loss became \w+ .*model\.learning_rate", lines[0])


def score_lines(done) -> list[str]:
    return re.findall(r"MAP@R.*", done.out)


def test_a_network_is_loaded_from_its_mlflow_run(workdir, tmp_path):
    cache = str(tmp_path / "cache")
    small = (*DATA, *QUIET, f"tracking.uri=sqlite:///{tmp_path}/runs.db")
    network = NETWORKS["transfer"]
    done = bench(*small, *network, "model.epochs=1", cwd=workdir, OUTLIERS_BENCH_CACHE=cache)
    assert done.code == 0, done.err
    weights = f"model.weights=runs:/{last_run(tmp_path)}/model"

    again = bench(*small, *network, weights, cwd=workdir, OUTLIERS_BENCH_CACHE=cache)
    assert again.code == 0, again.err
    assert score_lines(again) == score_lines(done) != []
    third = bench(
        *(*small, *network, weights, "pca.n=2"),
        cwd=workdir,
        OUTLIERS_BENCH_CACHE=cache,
        PYTHONPROFILEIMPORTTIME="1",
    )
    assert third.code == 0, third.err
    imported = set(re.findall(r"\|\s+([\w.]+)$", third.err, flags=re.MULTILINE))
    assert "outliers_bench.benchmark" in imported
    assert not imported & {"tensorflow", "keras", "openvino"}
    assert len(list((tmp_path / "cache" / "trained").iterdir())) == 1, "nothing else was trained"

    backbone = ("model=efficientnet_lite0", "model.image_size=32")
    alone = bench(*small, *backbone, weights, cwd=workdir, OUTLIERS_BENCH_CACHE=cache)
    assert alone.code == 0, alone.err
    embedded = bench(
        *(*small, *network, weights, "model.embedding=backbone"),
        cwd=workdir,
        OUTLIERS_BENCH_CACHE=cache,
    )
    assert embedded.code == 0, embedded.err
    assert score_lines(alone) == score_lines(embedded), "the fine-tuned backbone"

    wrong = bench(
        *(*small, *network, "model.weights=runs:/" + "0" * 32 + "/model"),
        cwd=workdir,
        OUTLIERS_BENCH_CACHE=cache,
    )
    assert wrong.code == 2, wrong.err
    (line,) = [line for line in wrong.err.splitlines() if line.strip()]
    assert "there is no such run" in line


def last_run(folder: Path) -> str:
    return runs_in(folder)[0][0]


def runs_in(folder: Path) -> list[tuple[str, str]]:
    """Return ids and states of all runs, latest first."""
    with sqlite3.connect(folder / "runs.db") as store:
        query = "select run_uuid, status from runs order by start_time desc"
        return store.execute(query).fetchall()


def test_training_interrupted_from_the_keyboard_is_resumed(workdir, tmp_path):
    cache = tmp_path / "cache"
    arguments = (*DATA, *QUIET, *NETWORKS["cnn_scratch"], "model.epochs=6")
    arguments = (*arguments, f"tracking.uri=sqlite:///{tmp_path}/runs.db")
    process = start(workdir, cache, *arguments)
    wait_for(lambda: epochs_done(cache) >= 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=100)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert [state for _, state in runs_in(tmp_path)] == ["KILLED"]
    finished = epochs_done(cache)
    assert 2 <= finished < 6
    before = json.loads(next(cache.glob("trained/*/state.json")).read_text())["epochs"]
    done = bench(*arguments, cwd=workdir, OUTLIERS_BENCH_CACHE=str(cache))
    assert done.code == 0, done.err
    epochs = json.loads((folder_in(cache) / "training.json").read_text())["epochs"]
    assert epochs[:finished] == before, "resumed"
    assert len(epochs) == 6
    assert [state for _, state in runs_in(tmp_path)] == ["FINISHED", "KILLED"]
