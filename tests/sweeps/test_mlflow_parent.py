"""Parent run of a sweep in MLflow: counts, best child, table and name."""

import csv
from pathlib import Path

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.sweeps import mlflow_parent
from outliers_bench.sweeps.mlflow_parent import (
    discard_parent,
    finish_parent,
    start_parent,
)
from outliers_bench.sweeps.name import sweep_name
from outliers_bench.tracking.active_run import start_run
from outliers_bench.tracking.failed_runs import record_failure
from outliers_bench.tracking.log_result import log_result
from outliers_bench.tracking.runs import PARENT_TAG, child_runs, find_finished, tag_reused_run
from tests.results import make_config, make_result, make_split


@pytest.fixture(autouse=True)
def no_leaderboard(request, monkeypatch):
    """Skip the leaderboard, which takes seconds, except in its own test."""
    if request.function is not test_a_sweep_has_a_leaderboard:
        monkeypatch.setattr(mlflow_parent, "_log_leaderboard", lambda *_: None)


def child(uri, parent, *, seed, model):
    split = make_split("swept")
    config = make_config(uri, name="swept", model=model)
    config.contact_sheets.queries = 0
    with start_run(config, split, identity=model, parent=parent) as recording:
        result = make_result(split, seed=seed)
        log_result(recording, result, config)
    return result.evaluation.metrics["hit_at_1"], recording.confirm().run_id


def test_a_parent_run_summarizes_its_children(uri, client):
    overrides = ["model=a,b,nosuch", "k=[1,5]"]
    parent = start_parent(client, "swept", overrides=overrides, n_jobs=3)
    scores = [child(uri, parent, seed=seed, model=model) for seed, model in enumerate("ab")]
    error = BenchError("model=nosuch: no such option")
    failed = record_failure(client, parent, overrides=["model=nosuch"], error=error)
    experiment = client.get_run(parent).info.experiment_id
    lost = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id

    finish_parent(client, parent)

    assert len(child_runs(client, parent)) == 4
    assert client.get_run(failed).info.status == "FAILED"
    assert client.get_run(failed).data.tags["failure"] == f"BenchError: {error}"
    assert client.get_run(lost).info.status == "KILLED"
    run = client.get_run(parent)
    assert (
        run.info.run_name == "sweep model=a,b,nosuch · 3 jobs"
    )  # a list is one value, not a sweep
    assert run.info.status == "FAILED"
    assert (run.data.tags["n_finished"], run.data.tags["n_failed"]) == ("2", "2")
    assert run.data.metrics["hit_at_1"] == max(scores)[0]
    assert run.data.tags["best_run_id"] in {run_id for score, run_id in scores}
    note = run.data.tags["mlflow.note.content"]
    assert "2 of 4 jobs finished" in note
    assert "a 8px · exact · cosine" in note
    assert "model=nosuch: no such option" in note


@pytest.mark.slow
def test_a_sweep_has_a_leaderboard(uri, client):
    parent = start_parent(client, "swept", overrides=["model=a,b"], n_jobs=2)
    for seed, model in enumerate("ab"):
        child(uri, parent, seed=seed, model=model)
    assert finish_parent(client, parent) == 0
    files = {file.path for file in client.list_artifacts(parent)}
    assert files >= {"leaderboard.html", "leaderboard.md", "leaderboard.csv", "children.csv"}


@pytest.mark.parametrize("status", ["FINISHED", "KILLED"])
def test_the_caller_can_set_the_status_of_a_sweep(uri, client, status):
    parent = start_parent(client, "swept", overrides=[])
    finish_parent(client, parent, status)
    assert client.get_run(parent).info.status == status


def read_table(run):
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "children.csv"
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_large_sweep_has_its_command_and_its_full_table(uri, client):
    parent = start_parent(
        client, "large", overrides=["model=" + ",".join(f"m{i}" for i in range(30))]
    )
    experiment = client.get_run(parent).info.experiment_id
    for i in range(30):
        name = f"model {i} " + "x" * 200
        tags = {"mlflow.parentRunId": parent, "failure": "y" * 300}
        run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        client.log_metric(run, "hit_at_1", i / 30)
        client.set_terminated(run, "FINISHED")

    finish_parent(client, parent)

    run = client.get_run(parent)
    note = run.data.tags["mlflow.note.content"]
    assert note.index("Repeat:") < note.index("| hit@1")
    assert "| model 29 " in note
    assert "| model 10 " in note
    assert "| model 9 " not in note
    assert "... and 10 more" in note
    rows = read_table(run)
    assert [float(row["hit_at_1"]) for row in rows] == [i / 30 for i in reversed(range(30))]
    assert rows[0]["run"] == "model 29 " + "x" * 200
    assert rows[0]["reused"] == ""


def test_reused_runs_count_as_jobs(uri, client):
    earlier = start_parent(client, "swept", overrides=["model=a,b"])
    for i, model in enumerate("ab"):
        child(uri, earlier, seed=i, model=model)
    finished = [find_finished(client, "swept", model) for model in "ab"]
    parent = start_parent(client, "swept", overrides=["model=a,b,c"], n_jobs=4)
    child(uri, parent, seed=2, model="c")
    for run in [*finished, finished[0]]:  # two jobs may reuse the same run
        tag_reused_run(client, parent, run)

    finish_parent(client, parent)

    run = client.get_run(parent)
    note = run.data.tags["mlflow.note.content"]
    assert "4 of 4 jobs finished (3 by earlier runs)" in note
    assert all(f"| {model} 8px · exact · cosine |" in note for model in "abc")
    assert run.info.status == "FINISHED"
    assert sorted(row["reused"] for row in read_table(run)) == ["", "yes", "yes"]


def test_the_best_run_is_best_in_the_objective(uri, client):
    """A cost is minimized, and the tag has the overrides in which the best run differs."""
    parent = start_parent(
        client, "cheap", overrides=[], objective="search_ms_per_query", direction="minimize"
    )
    experiment = client.get_run(parent).info.experiment_id
    for leaf, cost in (("10", 3.0), ("40", 1.5), ("90", 2.0)):
        tags = {PARENT_TAG: parent, "overrides": f"seed=0 index.leaf_size={leaf}"}
        run = client.create_run(experiment, tags=tags, run_name=f"leaf {leaf}").info.run_id
        client.log_metric(run, "search_ms_per_query", cost)
        client.set_terminated(run, "FINISHED")
    assert finish_parent(client, parent) == 0
    run = client.get_run(parent)
    assert run.data.metrics["search_ms_per_query"] == 1.5
    assert run.data.tags["best_parameters"] == "index.leaf_size=40"
    assert [row["run"] for row in read_table(run)] == ["leaf 40", "leaf 90", "leaf 10"]


@pytest.mark.parametrize(
    ("overrides", "swept", "name"),
    [
        (["+experiments/models_we_built=glob(*)", "seed=1"], [], "table models_we_built"),
        (["+experiments/models_we_built=sift,vgg16"], [], "table models_we_built sift,vgg16"),
        (
            ["+experiments/models_we_built=glob(*)", "model.longest_side=99"],
            [],
            "sweep models_we_built model.longest_side=99",  # not the rows of the table
        ),
        (["+experiments=search", "seed=1"], ["pca.n=range(2,9)"], "sweep search"),
        (["+experiments=search", "seed=0,1"], [], "sweep search seed=0,1"),
        (["seed=1"], ["pca.n=range(2,9)"], "sweep pca.n=range(2,9)"),
    ],
)
def test_a_sweep_is_named_after_what_it_varies(overrides, swept, name):
    assert sweep_name(overrides, swept, 8) == f"{name} · 8 jobs"


def test_a_failed_job_has_the_tags_of_its_row(client):
    parent = start_parent(client, "rows", overrides=[])
    error = BenchError("no weights")
    tags = {"table": "built", "row": "vgg16", "published.built": "vgg16", "data": "photos"}
    run = record_failure(client, parent, overrides=["a=b"], error=error, tags=tags)
    assert client.get_run(run).data.tags.items() >= tags.items()


def test_a_failed_job_has_its_command(client):
    parent = start_parent(client, "rows", overrides=[])
    words = ["a=b", "skip_finished=true"]  # which would reuse a run, not repeat it
    run = record_failure(client, parent, overrides=words, error=BenchError("no"))
    assert client.get_run(run).data.tags["mlflow.note.content"].endswith("_bench a=b\n```")


def test_jobs_that_did_not_start_are_counted(client):
    parent = start_parent(client, "broken", overrides=["a=1,2,3"], n_jobs=3)
    record_failure(client, parent, overrides=["a=1"], error=BenchError("no"))
    assert finish_parent(client, parent) == 3
    run = client.get_run(parent)
    assert run.info.status == "FAILED"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("0 of 3 jobs finished, 1 failed, 2 not started")


def test_a_refused_sweep_leaves_no_run(client):
    parent = start_parent(client, "refused", overrides=[])
    assert discard_parent(client, parent)
    assert client.get_run(parent).info.lifecycle_stage == "deleted"
    started = start_parent(client, "refused", overrides=[])
    record_failure(client, started, overrides=["a=b"], error=BenchError("no"))
    assert not discard_parent(client, started)
