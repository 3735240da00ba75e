"""Runs and sweeps while MLflow fails: no score is lost, and everything is delivered later, once."""

from __future__ import annotations

import re

import pytest

from outliers_bench.tracking.outbox import FOLDER, boxes
from tests.command_line import bench
from tests.mlflow_server import MlflowServer, killing
from tests.recorded_runs import SMALL
from tests.servers import Reply, serving

PIXELS = (*SMALL, "model=pixels", "contact_sheets.queries=1", "k=[1,5]")
SWEEP = ("-m", *PIXELS, "pca.n=null,3,4", "index=exact,kd_tree")


def path_ends(*ends):
    return lambda request: request.path.partition("?")[0].endswith(ends)


def batch_of(kind):
    """Match requests that log params, tags or metrics."""

    def matches(request):
        body = request.body.replace(b" ", b"")
        return request.path.endswith("runs/log-batch") and f'"{kind}":[{{'.encode() in body

    return matches


MOMENTS = {
    "from the beginning": (lambda _: True, False),
    "before the run is created": (path_ends("runs/create"), False),
    "after the run is created": (path_ends("runs/create"), True),
    "before params": (batch_of("params"), False),
    "after params": (batch_of("params"), True),
    "before the config": (path_ends("config.yaml"), False),
    "after the ranking": (path_ends("ranking.parquet"), True),
    "before metrics": (batch_of("metrics"), False),
    "after metrics": (batch_of("metrics"), True),
    "after the end": (path_ends("runs/update"), True),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory, empty_database):
    folder = tmp_path_factory.mktemp("server")
    (folder / "mlflow.db").write_bytes(empty_database.read_bytes())
    server = MlflowServer(folder)
    yield server
    server.kill()


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """Cache shared by all runs, so that each takes seconds."""
    return tmp_path_factory.mktemp("cache")


def send(cache, cwd):
    """Deliver once the sender of the command has ended, which may wait for an answer."""
    while True:
        done = bench(f"cache={cache}", cwd=cwd, module="outliers_bench.tracking.sender")
        if "another sender" not in done.out:
            return done


def runs_of(server, name):
    from mlflow import MlflowClient

    client = MlflowClient(server.database)
    experiment = client.get_experiment_by_name(name)
    return client, (client.search_runs([experiment.experiment_id]) if experiment else [])


def check_complete(server, name, *, sweep):
    """Check that each run is in MLflow once, finished, with all that belongs to it."""
    client, found = runs_of(server, name)
    jobs = [run for run in found if run.data.tags["kind"] == "run"]
    assert len(jobs) == (6 if sweep else 1)
    assert len(found) == len(jobs) + sweep
    assert {run.info.status for run in found} == {"FINISHED"}
    assert len({run.data.tags["outbox.key"] for run in found}) == len(found)
    for run in jobs:
        for metric in ("hit_at_1", "map_at_r", "queries"):
            assert len(client.get_metric_history(run.info.run_id, metric)) == 1
        assert run.data.params["model.name"] == "pixels"
        artifacts = server.folder / "artifacts" / run.info.experiment_id / run.info.run_id
        names = {path.name for path in (artifacts / "artifacts").rglob("*.*")}
        assert {"config.yaml", "versions.json", "ranking.parquet", "worst.jpg"} <= names
    if sweep:
        (parent,) = (run for run in found if run.data.tags["kind"] == "sweep")
        assert parent.data.tags["n_finished"] == "6"
        assert {run.data.tags["mlflow.parentRunId"] for run in jobs} == {parent.info.run_id}
    return jobs


def check_scores_shown(done, *, sweep, n_notes=1):
    assert done.code == 0, done.err
    assert "Traceback" not in done.err + done.out
    assert len(re.findall(r"^MAP@R .*\d\.\d{3}", done.out, re.MULTILINE)) == (6 if sweep else 1)
    notes = re.findall(r"^note: .*$", done.err, re.MULTILINE)
    assert len(notes) == n_notes, done.err
    assert all(" -m outliers_bench.tracking.sender cache=" in note for note in notes)


@pytest.mark.slow
@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("sweep", [False, True], ids=["run", "sweep"])
def test_a_server_is_killed(server, cache, tmp_path, moment, sweep):
    matches, after = MOMENTS[moment]
    name = f"{'sweep' if sweep else 'run'} {moment}"
    number = 3 if sweep and moment != "from the beginning" else 1
    if not server.is_alive:
        server.start()
    with serving(killing(server, matches, number=number, after=after)) as proxy:
        store = (f"tracking.uri={proxy.url}", f"tracking.experiment={name}", f"cache.dir={cache}")
        done = bench(*(SWEEP if sweep else PIXELS), *store, cwd=tmp_path)
        assert not server.is_alive, "it was not killed"
        check_scores_shown(done, sweep=sweep)
        assert boxes(cache / FOLDER)
        assert send(cache, tmp_path).code == 1
        server.start()
        sent = send(cache, tmp_path)
    assert (sent.code, sent.err) == (0, "")
    assert boxes(cache / FOLDER) == []
    (first, *_) = check_complete(server, name, sweep=sweep)
    shown = re.search(r"^MAP@R +(\d\.\d{3})", done.out, re.MULTILINE)[1]
    assert shown in {f"{run.data.metrics['map_at_r']:.3f}" for run in (first, *_)}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(500, b"oops"), "no MLflow server answers there"),
        (Reply(200, b"<html>Welcome</html>"), "no MLflow server answers there"),
        (Reply(pause=60), "does not answer|no MLflow server answers|timed out"),
        (Reply(401, b"who are you?"), "no MLflow server answers there"),
        (Reply(403, b"no"), "no MLflow server answers there"),
    ],
    ids=["500", "html", "hangs", "401", "403"],
)
@pytest.mark.parametrize("sweep", [False, True], ids=["run", "sweep"])
def test_a_server_answers_nonsense_or_hangs(server, cache, tmp_path, reply, reason, sweep):
    if not server.is_alive:
        server.start()
    is_broken, name = True, f"{sweep} {reply.status} {reply.pause}"
    with serving(lambda request: reply if is_broken else server.forward(request)) as proxy:
        store = (f"tracking.uri={proxy.url}", f"tracking.experiment={name}", f"cache.dir={cache}")
        done = bench(*(SWEEP if sweep else PIXELS), *store, cwd=tmp_path)
        check_scores_shown(done, sweep=sweep)
        assert re.search(reason, done.err), done.err[-900:]
        is_broken = False
        sent = send(cache, tmp_path)
    assert (sent.code, sent.err) == (0, "")
    check_complete(server, name, sweep=sweep)
