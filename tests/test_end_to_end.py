"""The real command line on small pictures: what is recorded, reused, swept, and survives a kill."""

import os
import re
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.cli import bench

SMALL = ("data=synthetic", "data.classes=4", "data.individuals=3", "data.images=8", "data.size=32")
NETWORK = ("model=mobilenet", "model.weights=random", "model.image_size=32", "engine=openvino")


@pytest.fixture(scope="module")
def desk(tmp_path_factory) -> Path:
    """A working directory with a database that all tests here share: making one takes 7 s."""
    return tmp_path_factory.mktemp("desk")


def run_cli(desk: Path, *arguments: str, **env: str):
    cache = str(env.pop("cache", desk / "cache"))
    return bench(*arguments, cwd=desk, OUTLIERS_BENCH_CACHE=cache, **env)


def runs(desk: Path, query: str = "") -> list:
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{desk}/mlflow.db")
    experiments = [experiment.experiment_id for experiment in client.search_experiments()]
    return list(client.search_runs(experiments, query))


def of_id(desk: Path, done) -> object:
    (run_id,) = re.findall(r"\b[0-9a-f]{32}\b", done.out.split("MLflow run", 1)[1])[:1]
    return next(run for run in runs(desk) if run.info.run_id == run_id)


def scores(run) -> dict[str, float]:
    named = ("hit_at", "precision_at", "map_at_r", "r_precision", "mrr")
    return {k: v for k, v in run.data.metrics.items() if k.startswith(named)}


@pytest.fixture(scope="module")
def first(desk):
    """A run of raw pixels."""
    return run_cli(desk, *SMALL, "model=pixels", "k=[1,5]")


def test_a_run_shows_and_records_everything(desk, first):
    done = first
    assert done.code == 0, done.err
    assert done.err == "", "no progress bars where there is no terminal, no remarks of libraries"
    for shown in ("pixels", "MAP@R", "images/s", "pictures", "mlflow ui"):
        assert shown in done.out
    run = of_id(desk, done)
    assert run.info.status == "FINISHED"
    metrics = run.data.metrics
    for name in (
        *("hit_at_1", "hit_at_5", "precision_at_5", "map_at_r", "r_precision", "mrr"),
        *("images_per_second", "search_ms_per_query", "index_bytes", "peak_memory_bytes"),
        *("seconds_load", "seconds_decode", "seconds_embed", "seconds_fit"),
        *("seconds_index", "seconds_search"),
    ):
        assert name in metrics, name
    low, high = (metrics[f"ci95/hit_at_1_{end}"] for end in ("low", "high"))
    assert 0 <= low <= metrics["hit_at_1"] <= high <= 1
    assert low < high
    assert metrics["features_computed"] == 96
    assert run.data.params["model.name"] == "pixels"
    assert run.data.params["k"] == "[1, 5]"
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    kept = {path.relative_to(artifacts).as_posix() for path in artifacts.rglob("*.*")}
    assert {"config.yaml", "ranking.parquet", "per_class.csv", "pictures/worst.jpg"} <= kept
    ranking = pd.read_parquet(artifacts / "ranking.parquet")
    top = ranking[ranking["rank"] == 1]
    assert top["relevant"].mean() == pytest.approx(metrics["hit_at_1"])


@pytest.mark.slow
def test_twice_the_same_is_the_same(desk):
    first, second = (of_id(desk, run_cli(desk, *SMALL, "model=pixels")) for _ in range(2))
    assert scores(first) == scores(second)
    assert first.data.tags["identity"] == second.data.tags["identity"]
    assert second.data.metrics["features_computed"] == 0


def test_stored_features_need_no_tensorflow(desk):
    first = run_cli(desk, *SMALL, *NETWORK)
    assert first.code == 0, first.err
    again = run_cli(desk, *SMALL, *NETWORK, "pca.n=8", "index=kd_tree", PYTHONPROFILEIMPORTTIME="1")
    assert again.code == 0
    assert of_id(desk, again).data.metrics["features_computed"] == 0
    imported = set(re.findall(r"\|\s+([\w.]+)$", again.err, flags=re.MULTILINE))
    assert "outliers_bench.benchmark" in imported
    assert not imported & {"tensorflow", "keras", "openvino"}


@pytest.mark.slow
def test_new_photos_need_no_tensorflow_either(desk):
    run_cli(desk, *SMALL, *NETWORK)
    more = run_cli(desk, *SMALL, "data.images=9", *NETWORK, PYTHONPROFILEIMPORTTIME="1")
    assert more.code == 0
    metrics = of_id(desk, more).data.metrics
    assert (metrics["features_computed"], metrics["features_reused"]) == (12, 96)
    imported = set(re.findall(r"\|\s+([\w.]+)$", more.err, flags=re.MULTILINE))
    assert "openvino" in imported
    assert not imported & {"tensorflow", "keras"}


@pytest.mark.slow
def test_a_sweep_has_one_parent_and_trees_agree_with_exact(desk):
    done = run_cli(
        desk,
        "-m",
        *SMALL,
        "model=pixels",
        "seed=7",
        "pca.n=null,8",
        "index=exact,kd_tree,ball_tree",
        "tracking.experiment=swept",
    )
    assert done.code == 0, done.err
    swept = [
        r for r in runs(desk) if r.data.params.get("seed") == "7" or "sweep" in r.info.run_name
    ]
    (parent,) = (run for run in swept if "sweep" in run.info.run_name)
    children = [run for run in swept if run is not parent]
    assert len(children) == 6
    assert {run.data.tags["mlflow.parentRunId"] for run in children} == {parent.info.run_id}
    assert {run.info.status for run in swept} == {"FINISHED"}
    for components in ("None", "8"):
        alike = [run for run in children if run.data.params["pca.n"] == components]
        assert len(alike) == 3
        first = scores(alike[0])
        assert all(scores(run) == pytest.approx(first, abs=1e-9) for run in alike)


@pytest.mark.slow
def test_keypoints_and_embeddings_in_one_sweep(desk):
    """Matching has no PCA to vary: it says so, and takes its keypoints from the store."""
    done = run_cli(
        desk,
        # The flag may stand anywhere.
        *(*SMALL[:-1], "data.size=64", "-m", "model=pixels,sift", "pca.n=2,4", "k=[1]"),
        *("rerank=none", "tracking.experiment=keypoints"),
    )
    assert done.code == 0, done.err
    assert "pca.n=4 has no effect" in done.out
    found = [run for run in runs(desk, "tags.model = 'sift'") if run.data.tags["kind"] == "run"]
    assert len(found) == 2
    assert {run.data.tags["reduction"] for run in found} == {"none"}
    assert {run.data.metrics["features_computed"] for run in found} == {0, 96}
    assert scores(found[0]) == scores(found[1])
    assert "images_without_keypoints" in found[0].data.metrics
    pictures = Path(found[0].info.artifact_uri.removeprefix("file://")) / "pictures"
    assert (pictures / "matches.jpg").stat().st_size


def test_a_sweep_passes_over_what_has_finished_and_what_fails(desk, first):
    assert first.code == 0, first.err
    before = {run.info.run_id for run in runs(desk)}
    done = run_cli(
        *(desk, "-m", *SMALL, "model=pixels", "k=[1,5]", "pca.n=null,9999,4", "skip_finished=true")
    )
    assert done.code == 1, done.err
    assert re.search(r"error in .*pca\.n=9999.*too large", done.err)
    assert "Traceback" not in done.err
    new = [run for run in runs(desk) if run.info.run_id not in before]
    (parent,) = (run for run in new if run.data.tags["kind"] == "sweep")
    jobs = [run for run in new if run is not parent]
    by_job = {run.data.tags["overrides"].rpartition("pca.n=")[2].split()[0]: run for run in jobs}
    assert set(by_job) == {"4", "9999"}, "what has finished is not run again"
    assert by_job["4"].info.status == "FINISHED"
    assert by_job["9999"].info.status == "FAILED"
    assert "too large" in by_job["9999"].data.tags["failure"]
    assert {run.data.tags["mlflow.parentRunId"] for run in by_job.values()} == {parent.info.run_id}


@pytest.mark.slow  # the sweep above does it as well
def test_skip_finished_runs_nothing_twice(desk):
    arguments = (*SMALL, "model=pixels", "seed=11", "skip_finished=true")
    assert "MAP@R" in run_cli(desk, *arguments).out
    before = len(runs(desk))
    again = run_cli(desk, *arguments)
    assert again.code == 0
    assert len(runs(desk)) == before
    assert len(runs(desk, "params.seed = '11'")) == 1
    run_cli(desk, *arguments, "pca.n=3")
    assert len(runs(desk)) == before + 1


def test_unlabeled_photos_are_ranked_and_not_scored(desk, tmp_path):
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for part, count in (("query", 3), ("gallery", 12)):
        (tmp_path / "competition" / part).mkdir(parents=True)
        for i in range(count):
            picture = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "competition" / part / f"{i}.png"), picture)
    done = run_cli(
        desk, "data=prepared", f"data.root={tmp_path}/competition", "model=pixels", "k=[1,5]"
    )
    assert done.code == 0, done.err
    run = of_id(desk, done)
    assert "hit_at_1" not in run.data.metrics
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert pd.read_parquet(artifacts / "ranking.parquet")["query"].nunique() == 3


@pytest.mark.slow  # the contract battery has it without the command line
def test_unreadable_photos_are_counted_or_stop_the_run(desk, tmp_path):
    import cv2
    import numpy as np

    rng = np.random.default_rng(0)
    for animal in ("ant", "bee"):
        (tmp_path / "photos" / animal).mkdir(parents=True)
        for i in range(20):
            picture = rng.integers(0, 256, (20, 20, 3), dtype=np.uint8)
            cv2.imwrite(str(tmp_path / "photos" / animal / f"{i}.png"), picture)
    broken = tmp_path / "photos" / "ant" / "3.png"
    broken.write_bytes(broken.read_bytes()[:200])
    folder = ("data=folder", f"data.root={tmp_path}/photos", "model=pixels", "k=[1]")
    done = run_cli(desk, *folder)
    assert done.code == 2, done.err
    assert re.search(r"1 of 40 images .*ant/3\.png.*data\.max_unreadable", done.err)
    done = run_cli(desk, *folder, "data.max_unreadable=0.1")
    assert done.code == 0, done.err
    run = of_id(desk, done)
    assert run.data.metrics["images_unreadable"] == 1
    artifacts = Path(run.info.artifact_uri.removeprefix("file://"))
    assert "ant/3.png" in (artifacts / "excluded.csv").read_text()


@pytest.mark.slow
def test_sigterm_in_a_sweep_ends_job_and_parent_as_killed(desk):
    """What a cluster does to a job whose time is up."""
    long = ("data.size=64", "data.images=5000", "model=pixels", "model.image_size=41,42")
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", "-m", *SMALL, *long],
        cwd=desk,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(desk / "cache")},
        stderr=subprocess.PIPE,
    )
    deadline = time.time() + 120
    while time.time() < deadline and process.poll() is None:
        if any((desk / "cache" / "features").glob("pixels-*.sqlite-wal")):
            break
        time.sleep(0.1)
    time.sleep(0.5)
    process.terminate()
    assert process.wait(timeout=60) == 128 + signal.SIGTERM
    ours = [run for run in runs(desk) if "41,42" in run.data.tags.get("overrides", "")]
    assert [run.info.status for run in ours] == ["KILLED"]
    (parent,) = ours
    children = runs(desk, f"tags.`mlflow.parentRunId` = '{parent.info.run_id}'")
    assert {run.info.status for run in children} <= {"KILLED"}


@pytest.mark.slow
def test_a_working_directory_with_blanks_and_umlauts(tmp_path):
    desk = tmp_path / "Größe der Bären"
    desk.mkdir()
    done = run_cli(desk, *SMALL, "model=pixels", "contact_sheets.queries=1")
    assert done.code == 0, done.err
    assert (desk / "mlflow.db").exists()
    pictures = next(line for line in done.out.splitlines() if line.startswith("pictures"))
    assert (Path(pictures.removeprefix("pictures").strip()) / "worst.jpg").is_file()


@pytest.mark.slow
def test_kill_in_the_middle_of_embedding(desk, tmp_path):
    """Only what was missing is computed, and the end is the same as without the kill."""
    many = (*SMALL, "data.images=150", "data.size=64", *NETWORK, "seed=3", "model.image_size=96")
    killed = tmp_path / "killed"
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", *many],
        cwd=desk,
        env={**os.environ, "OUTLIERS_BENCH_CACHE": str(killed)},
    )

    def stored() -> int:
        files = list((killed / "features").glob("*.sqlite"))
        if not files:
            return 0
        with sqlite3.connect(files[0], timeout=60) as db:
            return int(db.execute("SELECT COUNT(*) FROM features").fetchone()[0])

    deadline = time.time() + 240
    while stored() < 200 and process.poll() is None and time.time() < deadline:
        time.sleep(0.1)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL, "it was killed while it worked"
    kept = stored()
    assert 200 <= kept < 1800
    resumed = of_id(desk, run_cli(desk, *many, cache=str(killed)))
    assert resumed.data.metrics["features_reused"] == kept
    assert resumed.data.metrics["features_computed"] == 1800 - kept
    undisturbed = of_id(desk, run_cli(desk, *many, cache=str(tmp_path / "whole")))
    assert undisturbed.data.metrics["features_computed"] == 1800
    assert scores(resumed) == scores(undisturbed)
    rankings = [
        pd.read_parquet(Path(run.info.artifact_uri.removeprefix("file://")) / "ranking.parquet")
        for run in (resumed, undisturbed)
    ]
    pd.testing.assert_frame_equal(*rankings, check_exact=True)
