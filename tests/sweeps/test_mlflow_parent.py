"""Parent run of a sweep in MLflow: counts, best child, table and name."""

import csv
from pathlib import Path

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.sweeps import mlflow_parent
from outliers_bench.sweeps.mlflow_parent import (
    count_unfinished,
    discard_parent,
    finish_parent,
    start_parent,
    sweep_name,
)
from outliers_bench.tracking.active_run import record_failure, start_run
from outliers_bench.tracking.log_result import log_result
from outliers_bench.tracking.outbox import now
from outliers_bench.tracking.runs import PARENT_TAG, child_runs, tag_reused_run
from tests.results import make_config, make_result, make_split


@pytest.fixture(autouse=True)
def no_leaderboard(request, monkeypatch):
    """Skip the leaderboard, which takes seconds, except in its own test."""
    if request.function is not test_a_sweep_has_a_leaderboard:
        monkeypatch.setattr(mlflow_parent, "_log_leaderboard", lambda *_: None)


def start(outbox, experiment="swept", overrides=(), **options):
    return start_parent(outbox.path, outbox.uri, experiment, overrides=overrides, **options)


def finish(outbox, sweep, status=None):
    """End a sweep and deliver it; return its run's id."""
    sweep.add(finish_parent, last=True, status=status, time=now())
    outbox.deliver()
    assert not sweep.path.exists()
    return sweep.run.run_id


def child(outbox, sweep, *, seed, model):
    split = make_split("swept")
    config = make_config(outbox.uri, name="swept", model=model, cache=outbox.cache)
    config.contact_sheets.queries = 0
    with start_run(config, split, identity=model, sweep=sweep) as recording:
        result = make_result(split, seed=seed)
        log_result(recording, result, config)
    return result.evaluation.metrics["hit_at_1"], recording.box


def fail(sweep, error, *, overrides):
    record_failure(sweep, overrides=overrides, error=BenchError(error), tags={})


def test_a_job_that_is_delivered_while_jobs_are_counted_counts(outbox, client, monkeypatch):
    sweep = start(outbox, overrides=["model=a,b"], n_jobs=2)
    for seed, model in enumerate("ab"):
        child(outbox, sweep, seed=seed, model=model)
    boxes = mlflow_parent.boxes

    def list_and_deliver(folder):
        found = boxes(folder)
        outbox.deliver()
        return found

    monkeypatch.setattr(mlflow_parent, "boxes", list_and_deliver)
    assert count_unfinished(sweep) == (0, 2)


def test_a_parent_run_summarizes_its_children(outbox, client):
    sweep = start(outbox, overrides=["model=a,b,nosuch", "k=[1,5]"], n_jobs=3)
    jobs = [child(outbox, sweep, seed=seed, model=model) for seed, model in enumerate("ab")]
    fail(sweep, "model=nosuch: no such option", overrides=["model=nosuch"])
    assert count_unfinished(sweep) == (1, 3)
    outbox.deliver()
    assert count_unfinished(sweep) == (1, 3), "from the receipts"

    parent = finish(outbox, sweep)

    children = child_runs(client, parent)
    assert [run.info.status for run in children] == ["FINISHED", "FINISHED", "FAILED"]
    assert children[2].data.tags["failure"] == "BenchError: model=nosuch: no such option"
    run = client.get_run(parent)
    # A list is one value, not a sweep.
    assert run.info.run_name == "sweep model=a,b,nosuch · 3 jobs"
    assert run.info.status == "FAILED"
    assert (run.data.tags["n_finished"], run.data.tags["n_failed"]) == ("2", "1")
    assert run.data.metrics["hit_at_1"] == max(score for score, _ in jobs)
    assert run.data.tags["best_run_id"] in {box.run.run_id for _, box in jobs}
    note = run.data.tags["mlflow.note.content"]
    assert "2 of 3 jobs finished" in note
    assert "a 8px · exact · cosine" in note
    assert "model=nosuch: no such option" in note


def test_a_sweep_ends_after_its_jobs(outbox, client):
    sweep = start(outbox)
    with start_run(
        make_config(outbox.uri, cache=outbox.cache), make_split(), identity="x", sweep=sweep
    ):
        sweep.add(finish_parent, last=True, status=None, time=now())
        outbox.deliver()
        assert client.get_run(sweep.run.run_id).info.status == "RUNNING"
    outbox.deliver()
    assert client.get_run(sweep.run.run_id).data.tags["n_finished"] == "1"


@pytest.mark.slow
def test_a_sweep_has_a_leaderboard(outbox, client):
    sweep = start(outbox, overrides=["model=a,b"], n_jobs=2)
    for seed, model in enumerate("ab"):
        child(outbox, sweep, seed=seed, model=model)
    parent = finish(outbox, sweep)
    files = {file.path for file in client.list_artifacts(parent)}
    assert files >= {"leaderboard.html", "leaderboard.md", "leaderboard.csv", "children.csv"}


@pytest.mark.parametrize("status", ["FINISHED", "KILLED"])
def test_the_caller_can_set_the_status_of_a_sweep(outbox, client, status):
    parent = finish(outbox, start(outbox), status)
    assert client.get_run(parent).info.status == status


def read_table(run):
    path = Path(run.info.artifact_uri.removeprefix("file://")) / "children.csv"
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_large_sweep_has_its_command_and_its_full_table(outbox, client):
    sweep = start(outbox, "large", ["model=" + ",".join(f"m{i}" for i in range(30))])
    outbox.deliver()
    parent = sweep.run.run_id
    experiment = client.get_run(parent).info.experiment_id
    for i in range(30):
        name = f"model {i} " + "x" * 200
        tags = {"mlflow.parentRunId": parent, "failure": "y" * 300}
        run = client.create_run(experiment, tags=tags, run_name=name).info.run_id
        client.log_metric(run, "hit_at_1", i / 30)
        client.set_terminated(run, "FINISHED")

    finish(outbox, sweep)

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


def test_reused_runs_count_as_jobs(outbox, client):
    earlier = [child(outbox, None, seed=seed, model=model)[1] for seed, model in enumerate("ab")]
    outbox.deliver()
    sweep = start(outbox, overrides=["model=a,b,c"], n_jobs=5)
    waiting = [
        child(outbox, sweep, seed=2, model="c")[1],
        child(outbox, None, seed=3, model="d")[1],
    ]
    # Two jobs may reuse the same run, and a run may be reused before it is delivered.
    found = [*(box.run.run_id for box in earlier), earlier[0].run.run_id, waiting[1].key]
    for number, run in enumerate(found):
        sweep.add(tag_reused_run, found=run, name="x", suffix=str(number))
    assert count_unfinished(sweep) == (0, 5)

    parent = finish(outbox, sweep)

    run = client.get_run(parent)
    note = run.data.tags["mlflow.note.content"]
    assert "5 of 5 jobs finished (4 by earlier runs)" in note
    assert all(f"| {model} 8px · exact · cosine |" in note for model in "abcd")
    assert run.info.status == "FINISHED"
    assert sorted(row["reused"] for row in read_table(run)) == ["", "yes", "yes", "yes"]


def test_the_best_run_is_best_in_the_objective(outbox, client):
    """A cost is minimized, and the tag has the overrides in which the best run differs."""
    sweep = start(outbox, "cheap", objective="search_ms_per_query", direction="minimize")
    outbox.deliver()
    parent = sweep.run.run_id
    experiment = client.get_run(parent).info.experiment_id
    for leaf, cost in (("10", 3.0), ("40", 1.5), ("90", 2.0)):
        tags = {PARENT_TAG: parent, "overrides": f"seed=0 index.leaf_size={leaf}"}
        run = client.create_run(experiment, tags=tags, run_name=f"leaf {leaf}").info.run_id
        client.log_metric(run, "search_ms_per_query", cost)
        client.set_terminated(run, "FINISHED")
    finish(outbox, sweep)
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


def test_jobs_that_did_not_start_are_counted(outbox, client):
    sweep = start(outbox, "broken", ["a=1,2,3"], n_jobs=3)
    fail(sweep, "no", overrides=["a=1"])
    assert count_unfinished(sweep) == (3, 1)
    run = client.get_run(finish(outbox, sweep))
    assert run.info.status == "FAILED"
    note = run.data.tags["mlflow.note.content"]
    assert note.startswith("0 of 3 jobs finished, 1 failed, 2 not started")


def test_a_refused_sweep_leaves_no_run(outbox, client):
    sweep = start(outbox, "refused")
    assert count_unfinished(sweep) == (0, 0)
    sweep.add(discard_parent, last=True)
    outbox.deliver()
    assert client.get_run(sweep.run.run_id).info.lifecycle_stage == "deleted"
    assert not sweep.path.exists()
