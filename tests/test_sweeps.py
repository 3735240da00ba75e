"""Sweeps as a user starts them: continued after a kill, in parallel, searched by Optuna."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import psutil
import pytest

from outliers_bench.errors import BenchError
from outliers_bench.evaluation.names import is_score
from outliers_bench.sweeps.objective import check_objective, objective_of
from outliers_bench.tracking.store import open_client
from tests.cli import bench, in_process

DATA = ("data=synthetic", "data.size=16", "k=[1,3]", "model=pixels", "pictures.queries=0")
TWELVE = (*DATA, "model.image_size=6,8", "pca.n=null,3,5", "index=exact,kd_tree")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A database in which nothing is recorded: making one takes seconds."""
    path = tmp_path_factory.mktemp("made") / "mlflow.db"
    open_client(f"sqlite:///{path}")
    return path


@pytest.fixture
def desk(made, tmp_path, monkeypatch):
    """A working directory with an empty database and a cache of its own."""
    (tmp_path / "mlflow.db").write_bytes(made.read_bytes())
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    return tmp_path


def runs(desk):
    client = open_client(f"sqlite:///{desk}/mlflow.db")
    ids = [experiment.experiment_id for experiment in client.search_experiments()]
    return client.search_runs(ids)


def jobs(desk):
    return [run for run in runs(desk) if run.data.tags["kind"] == "run"]


def parents(desk):
    return [run for run in runs(desk) if run.data.tags["kind"] == "sweep"]


def finished(desk):
    """Ids of the finished jobs so far, without MLflow, which takes seconds to import."""
    query = """SELECT run_uuid FROM runs JOIN tags USING (run_uuid)
               WHERE status = 'FINISHED' AND key = 'kind' AND tags.value = 'run'"""
    with closing(sqlite3.connect(desk / "mlflow.db", timeout=30)) as database:
        return {run_id for (run_id,) in database.execute(query)}


def test_an_objective_is_checked_before_the_work_where_it_can_be():
    check_objective("precision_at_5", [1, 5])
    check_objective("search_ms_per_query", [1], labelled=False)
    with pytest.raises(BenchError, match=r"objective=hit_at_2: 2 .*k=\[1, 5\]"):
        check_objective("hit_at_2", [1, 5])
    with pytest.raises(BenchError, match=r"no labels.*search_ms_per_query"):
        check_objective("map_at_r", [1], labelled=False)
    assert objective_of({"mrr": 0.25}, "mrr") == 0.25
    with pytest.raises(BenchError, match=r"objective=mr: .*no such metric.*mrr"):
        objective_of({"mrr": 0.25}, "mr")
    assert not is_score("index_bytes")


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["data=folder", "data.root=nowhere", "seed=0,1"], r"data\.root=nowhere"),
        (["data=folder", "seed=0,1"], r"data\.root is missing"),
        ([*DATA, "tracking.uri=mlruns", "seed=0,1"], r"tracking\.uri=mlruns"),
        ([*DATA, "model=pixels,nosuch"], r"model=nosuch: no such option"),
    ],
)
def test_a_sweep_that_cannot_begin_is_refused_at_once(
    arguments, expected, desk, monkeypatch, capsys
):
    """In one line, before any job, and without a run that would have failed."""
    done = in_process(monkeypatch, capsys, "-m", *arguments)
    assert done.code == 2, done.err
    told = [line for line in done.err.splitlines() if line.startswith("error")]
    assert len(told) == 1
    assert expected.replace("\\", "") in told[0]
    assert "Traceback" not in done.err
    assert runs(desk) == []


def test_without_the_extra_the_way_to_it_is_told():
    from hydra.errors import MissingConfigException

    from outliers_bench.explain import explain

    for option in ("hydra/sweeper/optuna", "hydra/launcher/joblib"):
        error = MissingConfigException("not found", option, options=["basic"])
        assert "pip install 'outliers-bench[sweep]'" in explain(error)


def kill_in_the_middle(desk, arguments, *, with_recorder, at):
    """Start a sweep and kill it without warning once so many of its runs have finished."""
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", "-m", *arguments],
        cwd=desk,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 300
    while len(finished(desk)) < at:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    recorders = psutil.Process(process.pid).children(recursive=True)
    victims = [*recorders, process] if with_recorder else [process]
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(recorders, timeout=60)  # a recorder that lives ends what was left open
    done = finished(desk)
    assert at <= len(done) < 12
    return done


@pytest.mark.slow
@pytest.mark.parametrize("with_recorder", [False, True])
def test_a_killed_sweep_goes_on_where_it_stopped(desk, with_recorder):
    arguments = (*TWELVE, "skip_finished=true")
    before = kill_in_the_middle(desk, arguments, with_recorder=with_recorder, at=4)

    done = bench("-m", *arguments, cwd=desk)

    assert done.code == 0, done.err
    found = jobs(desk)
    complete = [run for run in found if run.info.status == "FINISHED"]
    assert len({run.data.tags["identity"] for run in complete}) == 12
    assert len(complete) == 12  # so none was computed again
    assert before <= {run.info.run_id for run in complete}
    assert {run.info.status for run in found} <= {"FINISHED", "KILLED"}
    assert sorted(run.info.status for run in parents(desk)) == ["FINISHED", "KILLED"]
    (whole,) = (run for run in parents(desk) if run.info.status == "FINISHED")
    note = whole.data.tags["mlflow.note.content"]
    assert f"12 of 12 jobs finished ({len(before)} of them before)" in note


@pytest.mark.slow
def test_parallel_jobs_are_children_of_one_parent(desk):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    arguments = (*DATA, "pca.n=2,3,999,4", "skip_finished=true")
    done = bench("-m", *arguments, *JOBLIB, cwd=desk)
    assert done.code == 1, done.err
    assert "pca.n=999 is too large" in done.err
    (parent,) = parents(desk)
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs(desk)} == {parent.info.run_id}
    by_status = sorted(run.info.status for run in jobs(desk))
    assert by_status == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]

    again = bench("-m", *arguments, *JOBLIB, cwd=desk)
    assert again.code == 1
    assert len(finished(desk)) == 3


@pytest.mark.slow
def test_optuna_finds_the_best_and_the_same_seed_the_same_trials(desk):
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper")
    search = (
        *DATA,
        "hydra/sweeper=optuna",
        "hydra.sweeper.n_trials=5",
        "hydra.sweeper.sampler.seed=3",
        "objective=map_at_r",
        "skip_finished=true",
        "model.image_size=choice(4,6,8)",
        "pca.n=range(2,8)",
    )
    first = bench("-m", *search, cwd=desk)
    assert first.code == 0, first.err
    (parent,) = parents(desk)
    assert parent.data.metrics["map_at_r"] == max(r.data.metrics["map_at_r"] for r in jobs(desk))
    best = next(r for r in jobs(desk) if r.info.run_id == parent.data.tags["best_run_id"])
    assert f"pca.n={best.data.params['pca.n']}" in parent.data.tags["best_parameters"]
    n_jobs = len(jobs(desk))
    assert 1 < n_jobs <= 5

    assert bench("-m", *search, cwd=desk).code == 0
    assert len(jobs(desk)) == n_jobs  # every trial was found finished


@pytest.mark.slow
def test_ctrl_c_ends_parallel_jobs_and_their_sweep_as_killed(desk):
    pytest.importorskip("hydra_plugins.hydra_joblib_launcher")
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", "-m", *TWELVE, *JOBLIB],
        cwd=desk,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not finished(desk):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.communicate(timeout=120)
    assert process.returncode == 130
    (parent,) = parents(desk)
    assert parent.info.status == "KILLED"
    assert {run.info.status for run in jobs(desk)} <= {"FINISHED", "KILLED"}
