"""Sweeps from the command line: resumed after a kill, in parallel, and by Optuna."""

import os
import shlex
import signal
import subprocess
import sys
import time

import psutil
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl

from outliers_bench.data.synthetic import Synthetic
from tests.command_line import bench, in_process
from tests.counting import count_calls
from tests.sweeps.sweep_runs import DATA, all_runs, finished_ids, jobs, parents

TWELVE = (*DATA, "model.image_size=6,8", "pca.n=null,3,5", "index=exact,kd_tree")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


def test_work_that_jobs_share_is_done_once(workdir, monkeypatch, capsys):
    composed = count_calls(monkeypatch, ConfigLoaderImpl, "load_configuration")
    loaded = count_calls(monkeypatch, Synthetic, "load")
    options = ("model.image_size=6", "pca.n=null,3", "index=exact,kd_tree")
    done = in_process(monkeypatch, capsys, "-m", *DATA, *options)
    assert done.code == 0, done.err
    # Hydra's mode, the config of the sweep, and one per index; values are set in copies.
    assert (len(composed), len(loaded)) == (4, 1)
    assert [run.info.status for run in all_runs(workdir)] == 5 * ["FINISHED"]
    done = in_process(monkeypatch, capsys, *DATA, "model.image_size=6")
    assert done.code == 0, done.err
    assert len(loaded) == 2, "outside of a sweep the photos are listed again"


@pytest.mark.slow
def test_a_job_that_does_not_compose_leaves_no_run(workdir, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "-m", *DATA, "model=pixels,nosuch")
    assert done.code == 2
    (line,) = done.err.strip().splitlines()
    assert "model=nosuch: no such option" in line
    assert all_runs(workdir) == []


def start_sweep(workdir, arguments, *, at=1, **options):
    """Start a sweep and return its process once `at` jobs have finished."""
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", "-m", *arguments],
        cwd=workdir,
        stdout=subprocess.DEVNULL,
        **options,
    )
    deadline = time.monotonic() + 300
    while len(finished_ids(workdir)) < at:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def kill_in_the_middle(workdir, arguments, *, with_sender, at):
    """Start a sweep, send SIGKILL once `at` jobs have finished, and return their ids."""
    process = start_sweep(workdir, arguments, at=at)
    senders = psutil.Process(process.pid).children(recursive=True)
    victims = [*senders, process] if with_sender else [process]
    for victim in victims:
        victim.send_signal(signal.SIGKILL)
    process.wait()
    psutil.wait_procs(senders, timeout=60)  # a live sender ends the open runs
    done = finished_ids(workdir)
    assert at <= len(done) < 12
    return done


@pytest.mark.slow
@pytest.mark.parametrize("with_sender", [False, True])
def test_a_killed_sweep_is_resumed(workdir, with_sender):
    arguments = (*TWELVE, "skip_finished=true")
    before = kill_in_the_middle(workdir, arguments, with_sender=with_sender, at=4)

    done = bench("-m", *arguments, cwd=workdir)

    assert done.code == 0, done.err
    recorded = jobs(workdir)
    complete = [run for run in recorded if run.info.status == "FINISHED"]
    assert len({run.data.tags["identity"] for run in complete}) == 12
    assert len(complete) == 12  # none was computed again
    assert before <= {run.info.run_id for run in complete}
    assert {run.info.status for run in recorded} <= {"FINISHED", "KILLED"}
    assert sorted(run.info.status for run in parents(workdir)) == ["FINISHED", "KILLED"]
    (parent,) = (run for run in parents(workdir) if run.info.status == "FINISHED")
    note = parent.data.tags["mlflow.note.content"]
    assert f"12 of 12 jobs finished ({len(before)} by earlier runs)" in note


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_parallel_jobs_have_the_same_parent(workdir):
    arguments = (*DATA, "pca.n=2,3,999,4", "skip_finished=true")
    done = bench("-m", *arguments, *JOBLIB, cwd=workdir)
    assert done.code == 1, done.err
    assert "pca.n=999 is too large" in done.err
    (parent,) = parents(workdir)
    assert {run.data.tags["mlflow.parentRunId"] for run in jobs(workdir)} == {parent.info.run_id}
    by_status = sorted(run.info.status for run in jobs(workdir))
    assert by_status == ["FAILED", "FINISHED", "FINISHED", "FINISHED"]

    again = bench("-m", *arguments, *JOBLIB, cwd=workdir)
    assert again.code == 1
    assert len(finished_ids(workdir)) == 3


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_optuna_finds_the_best_and_repeats_trials_with_the_same_seed(workdir):
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
    first = bench("-m", *search, cwd=workdir)
    assert first.code == 0, first.err
    (parent,) = parents(workdir)
    assert parent.data.metrics["map_at_r"] == max(r.data.metrics["map_at_r"] for r in jobs(workdir))
    best = next(r for r in jobs(workdir) if r.info.run_id == parent.data.tags["best_run_id"])
    assert f"pca.n={best.data.params['pca.n']}" in parent.data.tags["best_parameters"]
    n_jobs = len(jobs(workdir))
    assert 1 < n_jobs <= 5

    assert bench("-m", *search, cwd=workdir).code == 0
    assert len(jobs(workdir)) == n_jobs  # all trials were reused


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_a_killed_worker_ends_the_sweep_with_one_line(workdir):
    """As the system kills a process that uses too much memory."""
    arguments = (*TWELVE, *JOBLIB)
    process = start_sweep(workdir, arguments, stderr=subprocess.PIPE, text=True)
    workers = psutil.Process(process.pid).children()
    next(w for w in workers if "LokyProcess" in " ".join(w.cmdline())).kill()
    _, error = process.communicate(timeout=120)
    assert process.returncode == 1
    assert error.strip().splitlines()[-1].startswith("error: a worker process died")
    assert "Traceback" not in error
    (parent,) = parents(workdir)
    assert parent.info.status == "FAILED"
    assert " not started" in parent.data.tags["mlflow.note.content"].splitlines()[0]


@pytest.mark.slow
def test_a_job_of_an_experiment_that_sweeps_is_repeated_alone(workdir):
    start = ("+experiments=all_backbones", "model=pixels", *DATA)
    assert bench(*start, cwd=workdir).code == 0
    (job,) = jobs(workdir)
    assert bench(*shlex.split(job.data.tags["overrides"]), cwd=workdir).code == 0
    assert len(jobs(workdir)) == 2
    assert len(parents(workdir)) == 1


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_ctrl_c_ends_parallel_jobs_and_their_sweep_as_killed(workdir):
    arguments = (*TWELVE, *JOBLIB)
    process = start_sweep(workdir, arguments, stderr=subprocess.PIPE, start_new_session=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.communicate(timeout=120)
    assert process.returncode == 130
    (parent,) = parents(workdir)
    assert parent.info.status == "KILLED"
    assert {run.info.status for run in jobs(workdir)} <= {"FINISHED", "KILLED"}
