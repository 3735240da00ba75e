"""Runs compared over clusters of queries, by class-balanced means, and with older definitions."""

import csv
import re
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from outliers_bench.evaluation.clusters import smallest_difference
from outliers_bench.evaluation.paired import compare_with_best
from outliers_bench.leaderboard import read_boards, sentences, show_boards
from outliers_bench.leaderboard.command import run
from outliers_bench.leaderboard.significance import add_significance
from outliers_bench.tracking.store import experiment_id
from tests.leaderboard.test_leaderboard_parts import board, row, scores

INDIVIDUALS = [f"animal {n // 4}" for n in range(40)]
CLASSES = [("rare" if n < 8 else "common") for n in range(40)]
BEST = np.repeat([1, 1, 1, 1, 1, 0, 1, 1, 1, 0], 4)
WORSE = np.repeat([0, 0, 0, 0, 0, 1, 1, 1, 1, 1], 4)


def with_clusters(values, clusters=None, classes=CLASSES):
    cells = None if clusters is None else tuple(clusters)
    return replace(scores(values), clusters=cells, classes=tuple(classes))


def tagged(rank, cluster=None, **metrics):
    tags = {} if cluster is None else {"cluster": cluster, "evaluation": "2"}
    return row(rank, tags=tags, metrics=metrics)


def test_runs_are_compared_over_whole_clusters():
    values = {"run1": with_clusters(BEST, INDIVIDUALS), "run2": with_clusters(WORSE, INDIVIDUALS)}
    compared = add_significance(board(tagged(1, "label"), tagged(2, "label")), values)
    ids = np.repeat(np.arange(10), 4)
    expected = compare_with_best(np.stack([BEST, WORSE]).astype(float), clusters=ids)
    independent = compare_with_best(np.stack([BEST, WORSE]).astype(float))
    assert compared.rows[1].p == expected.adjusted[1] > 0.05 > independent.adjusted[1]
    assert (compared.cluster, compared.clusters) == ("label", 10)
    shown = smallest_difference(BEST.astype(float), WORSE.astype(float), clusters=ids)
    assert compared.smallest_difference == shown
    texts = sentences.describe_comparison(compared, "hit_at_1")
    assert texts[0] == "Compared over 10 individuals (labels)."
    assert f"{shown:.3f}" in texts[1]
    assert len(texts) == 2
    legend = sentences.legend(compared, ["interval", "p"])
    assert legend["interval"] == "95%: bootstrap interval over individuals (labels)."
    assert "p ≥ 0.05" in legend["p"]


def test_the_fewest_clusters_of_any_run_are_used_for_all():
    encounters = [f"{n // 2}" for n in range(40)]
    values = {
        "run1": with_clusters(BEST, encounters),
        "run2": with_clusters(WORSE, INDIVIDUALS),
        "run3": with_clusters(WORSE),  # recorded before there were clusters
        "run4": with_clusters(WORSE, [""] * 40),
    }
    runs = tagged(1, "encounter"), tagged(2, "label"), tagged(2), tagged(2, "query")
    runs = tuple(replace(each, run_id=f"run{n}") for n, each in enumerate(runs, 1))
    compared = add_significance(board(*runs), values)
    assert (compared.cluster, compared.clusters) == ("label", 10)
    assert len({each.p for each in compared.rows[1:]}) == 1
    *_, last = sentences.describe_comparison(compared, "hit_at_1")
    assert last.startswith("The intervals of 3 runs are over other clusters")
    legend = sentences.legend(compared, ["interval"])["interval"]
    assert legend.endswith("over encounters or individuals (labels) or queries.")
    older = add_significance(board(tagged(1), tagged(2)), {"run1": values["run3"]})
    assert (older.cluster, older.clusters, older.smallest_difference) == ("query", 40, None)


def test_a_method_against_itself_is_a_tie():
    values = {f"run{n}": with_clusters(BEST, INDIVIDUALS) for n in (1, 2)}
    compared = add_significance(board(tagged(1, "label"), tagged(1, "label")), values)
    assert [(each.p, each.tied, each.difference) for each in compared.rows] == [(1, True, 0)] * 2


def test_class_balanced_means_are_compared_with_weights():
    first, second = (np.array(CLASSES) == "rare").astype(float), np.arange(40) % 4 / 4
    values = {"run1": with_clusters(first), "run2": with_clusters(second)}
    compared = add_significance(board(tagged(1), tagged(2)), values, balanced=True)
    assert compared.rows[1].difference == pytest.approx(second.mean() - 0.5)
    without = {name: replace(each, classes=None) for name, each in values.items()}
    refused = add_significance(board(tagged(1), tagged(2)), without, balanced=True)
    assert "no classes were recorded" in refused.not_compared


@pytest.fixture
def recorded(uri, client):
    """Two runs of today and one of an earlier version."""

    def record(name, values, balanced, **tags):
        of_all = {"kind": "run", "data": "clusters", "model": name, "split_fingerprint": "one"}
        run = client.create_run(
            experiment_id(client, "clusters"),
            tags=of_all | {"identity": name} | tags,
            run_name=name,
        )
        run_id = run.info.run_id
        metrics = {"hit_at_1": float(np.mean(values)), "mrr": 0.75, "queries": 40}
        metrics |= {"ci95/mrr_low": 0.5, "ci95/mrr_high": 0.9}
        if tags:
            metrics |= {"balanced/hit_at_1": balanced, "clusters": 10, "chance/hit_at_1": 0.125}
            metrics |= {"ci95/balanced/hit_at_1_low": 0.25, "ci95/balanced/hit_at_1_high": 0.95}
        for metric, value in metrics.items():
            client.log_metric(run_id, metric, value)
        lines = ["query,class,cluster,hit_at_1,mrr"]
        rows = zip(CLASSES, INDIVIDUALS, values, strict=True)
        lines += [f"{n},{kind},{animal},{v},0.5" for n, (kind, animal, v) in enumerate(rows)]
        text = "\n".join(lines if tags else [line.replace(",cluster", ",x") for line in lines])
        client.log_text(run_id, text, "per_query.csv")
        client.set_terminated(run_id)
        return run_id

    today = {"cluster": "label", "evaluation": "2"}
    a = record("a", BEST, 0.5, **today)
    b = record("b", WORSE, 0.875, **today)
    return {"a": a, "b": b, "old": record("old", WORSE, 0.0)}


def test_balanced_ranks_by_the_mean_over_classes(uri, recorded, tmp_path, capsys):
    out = (f"uri={uri}", "data=clusters", f"out={tmp_path}")
    assert run([*out, "balanced=true"]) == 0
    text = capsys.readouterr().out
    assert re.search(r"Best: b, balanced hit@1 0\.875 \(95% interval 0\.250–0\.950\)", text)
    assert "Excluded: 1 finished run without balanced/hit_at_1." in text
    with (tmp_path / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["run_id"] for row in rows] == [recorded["b"], recorded["a"]]
    assert rows[0]["compared_over"] == "10 by label"
    assert (rows[0]["cluster"], rows[0]["clusters"]) == ("label", "10.0")
    assert (rows[0]["chance/hit_at_1"], rows[0]["balanced/hit_at_1"]) == ("0.125", "0.875")
    assert rows[0]["ci95/balanced/hit_at_1_low"] == "0.25"
    boards, _ = read_boards(uri, data="clusters", metric="balanced/hit_at_1")
    assert [row.run_id for row in boards[0].rows] == [recorded["b"], recorded["a"]]
    assert run([*out, "balanced=true", "metric=search_ms_per_query"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: balanced=true: search_ms_per_query has no value per query")


def test_the_mrr_of_an_earlier_definition_is_left_out(uri, recorded, tmp_path, capsys):
    (board,), _ = read_boards(uri, data="clusters")
    metrics = {row.run_id: row.metrics for row in board.rows}
    assert "mrr" in metrics[recorded["a"]]
    assert not [name for name in metrics[recorded["old"]] if "mrr" in name]
    out = StringIO()
    show_boards([board], metric="hit_at_1", console=Console(file=out, width=200))
    assert "The MRR of 1 run of an earlier version is left out" in out.getvalue()
    assert run([f"uri={uri}", "data=clusters", f"out={tmp_path}", "metric=mrr"]) == 0
    text = capsys.readouterr().out
    assert "Excluded: 1 finished run without mrr of the full ranking: run them again." in text
