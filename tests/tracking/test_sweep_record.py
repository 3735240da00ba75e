"""A sweep in MLflow: children under one parent, counted, the best one named."""

import pytest

from outliers_bench.errors import BenchError
from outliers_bench.tracking.record import log_result
from outliers_bench.tracking.run import start_run
from outliers_bench.tracking.sweep import children, finish_parent, record_failure, start_parent
from tests.results import make_config, make_result, make_split


def child(uri, parent, *, seed, model):
    split = make_split("swept")
    config = make_config(uri, name="swept", model=model)
    config.pictures.queries = 0
    with start_run(config, split, identity=model, parent_run_id=parent) as opening:
        result = make_result(split, seed=seed)
        handle = log_result(opening, result, config)
    return result.evaluation.metrics["hit_at_1"], handle.run_id


def test_a_sweep_sums_up_its_children(uri, client):
    overrides = ["model=a,b,nosuch", "k=[1,5]"]
    parent = start_parent(uri, "swept", overrides=overrides, n_jobs=3)
    scores = [child(uri, parent, seed=seed, model=model) for seed, model in enumerate("ab")]
    error = BenchError("model=nosuch: no such option")
    failed = record_failure(client, parent, overrides=["model=nosuch"], error=error)
    experiment = client.get_run(parent).info.experiment_id
    lost = client.create_run(experiment, tags={"mlflow.parentRunId": parent}).info.run_id

    finish_parent(client, parent)

    assert len(children(client, parent)) == 4
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


@pytest.mark.parametrize("status", ["FINISHED", "KILLED"])
def test_the_caller_may_say_how_a_sweep_ended(uri, client, status):
    parent = start_parent(uri, "swept", overrides=[])
    finish_parent(client, parent, status)
    assert client.get_run(parent).info.status == status
