"""Metrics as objects: names, titles, and a new one that needs no other change."""

import io

import numpy as np
import pytest
from rich.console import Console

from outliers_bench.evaluation import metrics as module
from outliers_bench.evaluation.evaluate import Evaluator
from outliers_bench.evaluation.intervals import confidence_intervals
from outliers_bench.evaluation.metrics import (
    METRICS,
    Metric,
    cutoff_of,
    find_metric,
    is_score,
    lower_is_better,
)
from outliers_bench.leaderboard.columns import format_metric, heading
from outliers_bench.reports.numbers import metric_title
from outliers_bench.reports.terminal import show_result
from outliers_bench.sweeps.objective import check_objective
from outliers_bench.tracking.artifacts import write_tables
from outliers_bench.tracking.log_result import collect_metrics
from outliers_bench.types import Ranking
from tests.results import make_result, make_split


def test_names_and_cutoffs():
    families = [metric.name for metric in METRICS if metric.is_family]
    assert families == ["hit_at_k", "precision_at_k", "map_at_k"]
    assert find_metric("hit_at_12").name == "hit_at_k"
    assert (cutoff_of("precision_at_5"), cutoff_of("mrr")) == (5, None)
    for name in ("hit_at_k", "hit_at_", "recall_at_10", "map_at_", "without_leaks/mrr", "hit"):
        assert find_metric(name) is None, name
    names = ("precision_at_5", "map_at_5", "map_at_r", "map", "mrr", "r_precision", "minp")
    titles = ["precision@5", "MAP@5", "MAP@R", "mAP", "MRR", "R-precision", "mINP"]
    assert [metric_title(name) for name in names] == titles


def share_of_classes_found(labels, retrieved):
    """Share of the classes of which a query has a first hit of its class; one for the whole set."""
    return len(set(labels[retrieved[:, 0] == labels])) / len(set(labels))


def miss_at_k(relevant, k):
    """No relevant image among the first k: a family, per query, lower is better."""
    return 1.0 - relevant[:, :k].any(axis=1)


@pytest.fixture
def with_new_metrics(monkeypatch):
    new = (
        Metric(
            "classes_found",
            "classes found",
            ("labels", "retrieved"),
            share_of_classes_found,
            per_query=False,
            decimals=1,
        ),
        Metric("miss_at_k", "miss@k", ("relevant",), miss_at_k, higher_is_better=False, decimals=2),
    )
    monkeypatch.setattr(module, "METRICS", (*METRICS, *new))


@pytest.mark.usefixtures("with_new_metrics")
def test_a_new_metric_is_one_object(tmp_path):
    result = make_result(make_split(), seed=2)
    evaluation, split = result.evaluation, result.split
    first = split.gallery.labels[result.ranking.indices[:, 0]]
    found = {a for a, b in zip(split.query.labels, first, strict=True) if a == b}
    value = len(found) / 4
    assert 0 < value < 1
    evaluator = Evaluator(split, k=[1, 5, 10])
    for row in np.random.default_rng(0).permutation(12)[:, None]:
        evaluator.add(row, Ranking(result.ranking.indices[row], result.ranking.scores[row]))
    assert evaluator.result().metrics == evaluation.metrics, "also in blocks of queries"
    misses = sum(
        label not in split.gallery.labels[row[:5]]
        for row, label in zip(result.ranking.indices, split.query.labels, strict=True)
    )

    logged = collect_metrics(result)
    assert logged["classes_found"] == value
    assert logged["miss_at_5"] == misses / 12
    assert "classes_found" not in evaluation.per_query
    assert confidence_intervals(evaluation.per_query, seed=0).keys() == evaluation.per_query.keys()

    write_tables(result, tmp_path)
    for table in ("per_query.csv", "per_class.csv"):
        header = (tmp_path / table).read_text().partition("\n")[0].strip().split(",")
        assert "miss_at_5" in header
        assert "classes_found" not in header

    out = io.StringIO()
    show_result(result, "toy", console=Console(file=out, width=200))
    assert f"classes found {value:.1f}" in " ".join(out.getvalue().split())
    assert f"{misses / 12:.2f}" in out.getvalue()

    assert is_score("classes_found")
    assert lower_is_better("miss_at_5")
    assert not lower_is_better("classes_found")
    assert heading("miss_at_5") == "miss@5"
    assert format_metric("miss_at_5", 1.456) == "1.46"
    check_objective("classes_found", [1])
