"""Runs of earlier versions, whose tags, metrics and options had other names."""

import csv

from outliers_bench.config.schema import Config, register
from outliers_bench.leaderboard.command import run
from outliers_bench.tracking.store import open_client

OLD = {
    "kind": "run",
    "data": "old",
    "model": "pixels",
    "variant": "8px",
    "pca": "L2 4",
    "index": "exact",
    "metric": "cosine",
    "split_fingerprint": "one",
    "overrides": "model=pixels l2.before=true pictures.depth=3 pca.n=4",
}


def test_runs_with_old_names_are_on_the_leaderboard(fresh_uri, tmp_path, capsys):
    client = open_client(fresh_uri)
    experiment = client.create_experiment("old")
    for name, hit, lists in (("a", 0.5, "4"), ("b", 0.75, "8")):
        created = client.create_run(experiment, tags={**OLD, "identity": name}, run_name=name)
        client.log_param(created.info.run_id, "index.lists", lists)
        for metric, value in {"hit_at_1": hit, "queries_unanswerable": 2.0, "queries": 9.0}.items():
            client.log_metric(created.info.run_id, metric, value)
        client.set_terminated(created.info.run_id)
    assert run([f"uri={fresh_uri}", f"out={tmp_path}"]) == 0
    out = capsys.readouterr().out
    assert "index.nlist=8" in out
    with (tmp_path / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["hit_at_1"] for row in rows] == ["0.75", "0.5"]
    for row in rows:
        assert (row["reduction"], row["similarity"]) == ("L2 PCA 4", "cosine")
        assert not {"pca", "metric", "queries_unanswerable"} & set(row)
    page = (tmp_path / "leaderboard.html").read_text()
    assert "l2.before_reduction=true" in page
    assert "l2.before=" not in page


def test_all_new_names_exist():
    from dataclasses import fields

    from outliers_bench.config.choices import SCHEMAS
    from outliers_bench.config.renamed import OPTIONS

    register()
    for name in OPTIONS.values():
        group, _, option = name.partition(".")
        choices = SCHEMAS.get(group, {}).values()
        if group == "l2":
            choices = [type(Config().l2)]
        known = {entry.name for choice in choices for entry in fields(choice)}
        assert (option in known) if option else (group in {e.name for e in fields(Config)}), name
