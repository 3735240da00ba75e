"""A run in MLflow: everything logged is there, and its status tells how it ended."""

import csv
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from outliers_bench.errors import BenchError
from outliers_bench.sweeps.mlflow_parent import start_parent
from outliers_bench.tracking import provenance
from outliers_bench.tracking.active_run import record_failure, start_run
from outliers_bench.tracking.log_result import collect_metrics, log_result
from outliers_bench.tracking.runs import child_runs
from outliers_bench.types import LeftOut
from tests.results import make_config, make_result, make_split


@pytest.fixture(scope="module")
def recorded(module_outbox, client):
    outbox = module_outbox
    split = make_split("recorded")
    result = make_result(split)
    config = make_config(outbox.uri, name="recorded", pca=3, cache=outbox.cache)
    overrides = ["model=toynet", "pca.n=3"]
    with start_run(config, split, identity="same", overrides=overrides) as active:
        pictures = log_result(active, result, config)
        names = {path.name for path in pictures.iterdir()}
        assert names == {"best.jpg", "typical.jpg", "worst.jpg"}
        outbox.deliver()
        run_id = active.box.run.run_id
        assert client.get_run(run_id).info.status == "RUNNING"
    outbox.deliver()
    run = client.get_run(run_id)
    return run, result, Path(run.info.artifact_uri.removeprefix("file://")), active.box


def test_a_finished_run_has_all_metrics(recorded):
    run, result, _, _ = recorded
    assert run.info.status == "FINISHED"
    assert run.data.metrics == collect_metrics(result)
    for name, value in result.evaluation.metrics.items():
        assert run.data.metrics[name] == value
    expected = {"dimensions": 16, "features_computed": 30, "seconds_embed": 1.5, "queries": 12}
    expected |= {"images_unreadable": 1, "images_duplicate": 0, "index_bytes": 4096}
    assert expected.items() <= run.data.metrics.items()


def test_values_that_were_not_measured_are_absent():
    result = make_result(make_split(labeled=False), speed=None)
    assert not {"images_per_second", "hit_at_1", "mrr"} & set(collect_metrics(result))


def test_excluded_photos_are_counted_by_kind():
    left_out = (LeftOut("a.heic", "unsupported", "HEIC"),) * 2
    metrics = collect_metrics(make_result(replace(make_split(), left_out=left_out)))
    assert (metrics["images_unsupported"], metrics["images_unreadable"]) == (2, 0)


def test_params_are_the_config_without_storage_options(recorded):
    run, _, folder, box = recorded
    params = run.data.params
    expected = {"model.name": "toynet", "pca.n": "3", "index.metric": "cosine", "k": "[1, 5, 10]"}
    assert expected.items() <= params.items()
    assert not [key for key in params if key.startswith(("cache", "tracking", "pictures"))]
    assert yaml.safe_load((folder / "config.yaml").read_text())["cache"]["dir"] == str(
        box.path.parents[1]
    )


def test_tags_describe_data_method_and_environment(recorded):
    run, result, folder, _ = recorded
    tags = run.data.tags
    assert tags["split_fingerprint"] == result.split.fingerprint
    assert (tags["model"], tags["reduction"], tags["data"]) == ("toynet", "PCA 3", "recorded")
    assert run.info.run_name == "toynet 8px · PCA 3 · exact · cosine"
    assert "version.keras" in tags
    assert int(tags["machine.cores"]) >= 1
    assert "python -m outliers_bench model=toynet pca.n=3" in tags["mlflow.note.content"]
    assert f"{result.evaluation.metrics['hit_at_1']:.3f}" in tags["mlflow.note.content"]
    assert (folder / "versions.json").stat().st_size


def test_the_parts_of_the_split_are_its_datasets(recorded):
    run, result, _, _ = recorded
    datasets = {entry.tags[0].value: entry.dataset for entry in run.inputs.dataset_inputs}
    assert set(datasets) == {"train", "query", "gallery"}
    assert datasets["query"].digest == result.split.fingerprint[:8]
    assert '"num_rows": 12' in datasets["query"].profile


def test_the_ranking_can_be_read(recorded):
    _, result, folder, _ = recorded
    table = pq.read_table(folder / "ranking.parquet").to_pydict()
    depth = result.ranking.depth
    assert len(table["rank"]) == 12 * depth
    row = 5 * depth + 2  # third hit of the sixth query
    found = result.ranking.indices[5, 2]
    query, gallery = result.split.query, result.split.gallery
    assert table["query"][row] == query.names[5]
    assert (table["rank"][row], table["gallery"][row]) == (3, gallery.names[found])
    assert table["score"][row] == pytest.approx(float(result.ranking.scores[5, 2]))
    assert table["relevant"][row] == (query.labels[5] == gallery.labels[found])


def test_tables_and_pictures_are_artifacts(recorded):
    _, result, folder, _ = recorded
    names = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert {f"pictures/{name}.jpg" for name in ("best", "typical", "worst")} <= names
    with (folder / "per_query.csv").open() as file:
        per_query = list(csv.DictReader(file))
    assert [float(row["map_at_r"]) for row in per_query] == list(
        result.evaluation.per_query["map_at_r"]
    )
    with (folder / "per_class.csv").open() as file:
        per_class = {row["class"]: row for row in csv.DictReader(file)}
    assert set(per_class) == set(result.evaluation.per_class)
    assert float(per_class["bee"]["mrr"]) == result.evaluation.per_class["bee"]["mrr"]
    assert "x/bad.jpg,unreadable,truncated" in (folder / "excluded.csv").read_text()


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (ValueError("two\nlines"), "FAILED"),
        (KeyboardInterrupt(), "KILLED"),
        (SystemExit(143), "KILLED"),
    ],
)
def test_an_interrupted_run_has_the_reason(outbox, client, error, status):
    config = make_config(outbox.uri, name="interrupted", cache=outbox.cache)
    with (
        pytest.raises(type(error)),
        start_run(config, make_split("interrupted"), identity="lost") as run,
    ):
        raise error
    outbox.deliver()
    recorded = client.get_run(run.box.run.run_id)
    assert recorded.info.status == status
    assert recorded.data.tags["failure"].startswith(type(error).__name__)
    assert "\n" not in recorded.data.tags["failure"]


def test_times_are_those_of_the_run_and_not_of_its_delivery(outbox, client):
    config = make_config(outbox.uri, cache=outbox.cache)
    before = time.time()
    with start_run(config, make_split(), identity="late") as run:
        log_result(run, make_result(make_split()), config)
    after = time.time()
    time.sleep(0.2)
    outbox.deliver()
    info = client.get_run(run.box.run.run_id).info
    (metric,) = client.get_metric_history(info.run_id, "mrr")
    times = [info.start_time, metric.timestamp, info.end_time]
    assert times == sorted(times)
    assert int(before * 1000) <= times[0]
    assert times[-1] <= after * 1000


def test_a_failed_job_has_its_reason_its_command_and_the_tags_of_its_row(outbox, client):
    sweep = start_parent(outbox.path, outbox.uri, "rows", overrides=[])
    words = ["a=b", "skip_finished=true"]  # which would reuse a run, not repeat it
    tags = {"table": "built", "row": "vgg16", "published.built": "vgg16", "data": "photos"}
    record_failure(sweep, overrides=words, error=BenchError("no weights"), tags=tags)
    outbox.deliver()
    (run,) = child_runs(client, sweep.run.run_id)
    assert run.info.status == "FAILED"
    assert run.data.tags.items() >= tags.items()
    assert run.data.tags["failure"] == "BenchError: no weights"
    assert run.data.tags["mlflow.note.content"].endswith("_bench a=b\n```")


def test_the_commit_is_that_of_the_package_in_any_working_directory(tmp_path, monkeypatch):
    def run_git(*arguments):
        user = ("-c", "user.name=x", "-c", "user.email=x@example.org")
        done = subprocess.run(
            ["git", *user, *arguments], cwd=tmp_path, check=True, capture_output=True, text=True
        )
        return done.stdout.strip()

    package = tmp_path / "package"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(provenance, "_PACKAGE", package)
    assert provenance.git() == {}
    run_git("init", "--initial-branch=trunk")
    assert provenance.git() == {}  # as in a virtual environment inside a checkout
    run_git("add", ".")
    assert provenance.git() == {}
    run_git("commit", "--message=first")
    expected = {"mlflow.source.git.branch": "trunk", "git_dirty": "false"}
    expected["mlflow.source.git.commit"] = run_git("rev-parse", "HEAD")
    monkeypatch.setenv("GIT_DIR", "/somewhere/else")  # as inside a git hook
    assert provenance.git() == expected
    (package / "__init__.py").write_text("changed = True")
    assert provenance.git() == expected | {"git_dirty": "true"}
    monkeypatch.setenv("PATH", "")
    assert provenance.git() == {}


def test_a_password_is_only_where_the_sender_needs_it(outbox):
    uri = "http://me:p@ss@127.0.0.1:9"
    overrides = ["model=toynet", f"tracking.uri={uri}"]
    sweep = start_parent(outbox.path, uri, "secret", overrides=overrides)
    config = make_config(uri, cache=outbox.cache)
    config.contact_sheets.queries = 0
    split = make_split()
    with start_run(config, split, identity="x", sweep=sweep, overrides=overrides) as run:
        log_result(run, make_result(split), config)
    error = BenchError(f"tracking.uri={uri}: no")
    record_failure(sweep, overrides=overrides, error=error, tags={})
    files = [path for path in outbox.path.rglob("t*/*") if path.is_file()]
    assert len(files) == 8
    for path in files:
        assert path.read_text().count("p@ss") == (path.name == "box.json"), path
