"""Sweeps as a user starts them: continued after a kill, in parallel, searched by Optuna."""

import os
import shlex
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from copy import deepcopy

import psutil
import pytest
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.config_store import ConfigStore
from omegaconf import OmegaConf

from outliers_bench.data.synthetic import Synthetic
from outliers_bench.errors import BenchError
from outliers_bench.evaluation.metric_names import is_score, less_is_better
from outliers_bench.sweeps.objective import check_known, check_objective, objective_of
from outliers_bench.sweeps.plugins import decide_direction
from outliers_bench.tracking.backlog import Backlog
from outliers_bench.tracking.store import open_client
from tests.cli import bench, in_process
from tests.counting import counted

DATA = ("data=synthetic", "data.size=16", "k=[1,3]", "model=pixels", "contact_sheets.queries=0")
TWELVE = (*DATA, "model.image_size=6,8", "pca.n=null,3,5", "index=exact,kd_tree")
JOBLIB = ("hydra/launcher=joblib", "hydra.launcher.n_jobs=2")


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


def test_what_jobs_share_is_done_once(desk, monkeypatch, capsys):
    composed = counted(monkeypatch, ConfigLoaderImpl, "load_configuration")
    loaded = counted(monkeypatch, Synthetic, "load")
    waited = counted(monkeypatch, Backlog, "add")
    asked = ("model.image_size=6", "pca.n=null,3", "index=exact,kd_tree")
    done = in_process(monkeypatch, capsys, "-m", *DATA, *asked)
    assert done.code == 0, done.err
    # The sweep's own config, and one for each index; a value is set in a copy.
    assert (len(composed), len(loaded), len(waited)) == (3, 1, 4)
    assert deepcopy(ConfigStore.instance()) is ConfigStore.instance()
    assert [run.info.status for run in runs(desk)] == 5 * ["FINISHED"]
    done = in_process(monkeypatch, capsys, *DATA, "model.image_size=6")
    assert done.code == 0, done.err
    assert len(loaded) == 2, "outside of a sweep, photos are looked for anew"
    assert len(waited) == 4, "a run alone is recorded before it is shown"


def test_an_objective_is_checked_before_the_work_where_it_can_be():
    check_objective("precision_at_5", [1, 5])
    check_objective("search_ms_per_query", [1], labeled=False)
    with pytest.raises(BenchError, match=r"objective=hit_at_2: 2 .*k=\[1, 5\]"):
        check_objective("hit_at_2", [1, 5])
    with pytest.raises(BenchError, match=r"no labels.*search_ms_per_query"):
        check_objective("map_at_r", [1], labeled=False)
    assert objective_of({"mrr": 0.25}, "mrr") == 0.25
    with pytest.raises(BenchError, match=r"objective=mr: .*no such metric.*mrr"):
        objective_of({"mrr": 0.25}, "mr")
    assert not is_score("index_bytes")


def test_a_misspelt_objective_is_told_with_the_nearest_name():
    for known in ("mrr", "ci95/hit_at_1_low", "seconds_search", "val_loss", "weight_vgg16"):
        check_known(known, [1])
    for wrong in ("", "hit_at_l", "map", "ci95/mrr"):
        with pytest.raises(BenchError, match=f"objective={wrong}: no metric .*there is: hit_at_1,"):
            check_known(wrong, [1])
    with pytest.raises(BenchError, match="did you mean map_at_r"):
        check_known("map_at_R", [1])


@pytest.mark.parametrize(
    ("objective", "said", "decided"),
    [
        ("hit_at_1", None, "maximize"),
        ("images_per_second", None, "maximize"),
        ("recall_at_10", None, "maximize"),
        ("search_ms_per_query", None, "minimize"),
        ("index_bytes", "maximize", "maximize"),
        ("map_at_r", "minimize", "minimize"),
    ],
)
def test_the_direction_is_the_objectives_unless_it_is_given(objective, said, decided, caplog):
    typed = [f"hydra.sweeper.direction={said}"] if said else []
    hydra = {"sweeper": {"direction": said or "minimize"}, "overrides": {"hydra": typed}}
    config = OmegaConf.create({"objective": objective, "hydra": hydra})
    assert decide_direction(config) == decided
    assert config.hydra.sweeper.direction == decided
    assert len(caplog.records) == (1 if said else 0)
    config.hydra.sweeper = {}  # of a grid, which has none
    assert decide_direction(config) == ("minimize" if less_is_better(objective) else "maximize")


OPTUNA = ("hydra/sweeper=optuna", "pca.n=choice(2,3)")
REFUSED = {
    "photos that are not there": (["data=folder", "data.root=nowhere", "seed=0,1"], "root=nowhere"),
    "photos not named": (["data=folder", "seed=0,1"], "data.root is missing"),
    "a store that is none": (["tracking.uri=mlruns", "seed=0,1"], "tracking.uri=mlruns"),
    "weights that are not there": (["weights_dir=nowhere", "seed=0,1"], "weights_dir=nowhere"),
    "a table that is none": (
        ["+experiments/models_we_build=glob(*)"],
        "no such table; did you mean models_we_built?",
    ),
    "a pattern without match": (["model=glob(zzz*)"], "none of model matches (there is: cnn_"),
    "a group that is none": (["modl=glob(*)"], "no such group; did you mean model?"),
    "a range of nothing": (["seed=range(3,3)"], "seed=range(3,3): no value"),
    "a misspelled objective": (["objective=mr", "seed=0,1"], "did you mean mrr?"),
    "an objective not measured": (["objective=hit_at_5", "seed=0,1"], "k=[1, 3]"),
    "no trials": ([*OPTUNA, "hydra.sweeper.n_trials=0"], "n_trials=0: at least 1"),
    "no direction": ([*OPTUNA, "hydra.sweeper.direction=max"], "direction=max: minimize or max"),
    "two objectives": ([*OPTUNA, "objective=choice(mrr,map_at_r)"], "of one objective"),
    "no storage": (
        [*OPTUNA, "hydra.sweeper.storage=sqlite:////nowhere/x.db"],
        "storage=sqlite:////nowhere/x.db cannot be opened: ",
    ),
    "no jobs at once": (
        ["hydra/launcher=joblib", "hydra.launcher.n_jobs=0", "seed=0,1"],
        "n_jobs=0",
    ),
}
HEAVY = ("no storage", "two objectives", "no jobs at once", "an objective not measured")


def _marks(case):
    plugin = any(word.startswith("hydra/") for word in REFUSED[case][0])
    return [
        *([pytest.mark.slow] if case in HEAVY else []),
        *([pytest.mark.extra("sweep")] if plugin else []),
    ]


@pytest.mark.parametrize("case", [pytest.param(case, marks=_marks(case)) for case in REFUSED])
def test_a_sweep_that_cannot_begin_leaves_nothing(case, tmp_path, monkeypatch, capsys):
    """Told in one line, before any job."""
    arguments, expected = REFUSED[case]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("OUTLIERS_BENCH_CACHE", str(tmp_path / "cache"))
    of_own = any(word.startswith("data=") for word in arguments)
    done = in_process(monkeypatch, capsys, "-m", *(() if of_own else DATA), *arguments)
    assert done.code == 2, done.err
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done.err
    assert lines[0].startswith("error: ")
    assert expected in lines[0]
    assert {path.name for path in tmp_path.iterdir()} <= {"cache"}


@pytest.mark.slow
def test_a_job_that_does_not_compose_leaves_no_run(desk, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "-m", *DATA, "model=pixels,nosuch")
    assert done.code == 2
    (line,) = done.err.strip().splitlines()
    assert "model=nosuch: no such option" in line
    assert runs(desk) == []


def test_without_the_extra_the_way_to_it_is_told():
    from hydra.errors import MissingConfigException

    from outliers_bench.config.hydra_errors import explain

    for option in ("hydra/sweeper/optuna", "hydra/launcher/joblib"):
        error = MissingConfigException("not found", option, options=["basic"])
        assert "python -m pip install 'hydra-joblib-launcher>=" in explain(error)


def begun(desk, arguments, *, at=1, **options):
    """A sweep that runs, once so many of its jobs have finished."""
    process = subprocess.Popen(
        [sys.executable, "-m", "outliers_bench", "-m", *arguments],
        cwd=desk,
        stdout=subprocess.DEVNULL,
        **options,
    )
    deadline = time.monotonic() + 300
    while len(finished(desk)) < at:
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return process


def kill_in_the_middle(desk, arguments, *, with_recorder, at):
    """Start a sweep and kill it without warning once so many of its runs have finished."""
    process = begun(desk, arguments, at=at)
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


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_parallel_jobs_are_children_of_one_parent(desk):
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


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_optuna_finds_the_best_and_the_same_seed_the_same_trials(desk):
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


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_a_worker_that_was_killed_ends_the_sweep_in_one_line(desk):
    """As the system does with one that takes too much memory."""
    arguments = (*TWELVE, *JOBLIB)
    process = begun(desk, arguments, stderr=subprocess.PIPE, text=True)
    workers = psutil.Process(process.pid).children()
    next(w for w in workers if "LokyProcess" in " ".join(w.cmdline())).kill()
    _, told = process.communicate(timeout=120)
    assert process.returncode == 1
    assert told.strip().splitlines()[-1].startswith("error: a worker process died")
    assert "Traceback" not in told
    (parent,) = parents(desk)
    assert parent.info.status == "FAILED"
    assert " not begun" in parent.data.tags["mlflow.note.content"].splitlines()[0]


@pytest.mark.slow
def test_a_job_of_a_file_that_sweeps_is_repeated_alone(desk):
    start = ("+experiments=all_backbones", "model=pixels", *DATA)
    assert bench(*start, cwd=desk).code == 0
    (job,) = jobs(desk)
    assert bench(*shlex.split(job.data.tags["overrides"]), cwd=desk).code == 0
    assert len(jobs(desk)) == 2
    assert len(parents(desk)) == 1


@pytest.mark.extra("sweep")
@pytest.mark.slow
def test_ctrl_c_ends_parallel_jobs_and_their_sweep_as_killed(desk):
    arguments = (*TWELVE, *JOBLIB)
    process = begun(desk, arguments, stderr=subprocess.PIPE, start_new_session=True)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    process.communicate(timeout=120)
    assert process.returncode == 130
    (parent,) = parents(desk)
    assert parent.info.status == "KILLED"
    assert {run.info.status for run in jobs(desk)} <= {"FINISHED", "KILLED"}
