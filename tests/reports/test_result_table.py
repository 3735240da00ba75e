"""What a run prints at its end."""

from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from outliers_bench.reports.format import size
from outliers_bench.reports.table import metric_lines, show
from tests.results import make_result, make_split

HANDLE = SimpleNamespace(
    name="toynet · exact · cosine",
    run_id="0123456789abcdef",
    uri="sqlite:////somewhere/mlflow.db",
    artifact_uri="file:///somewhere/mlartifacts/toy/0123456789abcdef/artifacts",
)


def printed(result, width):
    out = StringIO()
    show(result, HANDLE, console=Console(file=out, width=width))
    return out.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_and_pointers_stay_whole(width):
    text = printed(make_result(make_split()), width)
    pointers = ("pictures", "MLflow run", "look at it")
    table = [line for line in text.splitlines() if not line.startswith(pointers)]
    assert max(map(len, table)) <= width
    assert "--backend-store-uri sqlite:////somewhere/mlflow.db --host 127.0.0.1" in text
    assert "/somewhere/mlartifacts/toy/0123456789abcdef/artifacts/pictures" in text
    assert "1 unreadable" in text


def test_figures_are_the_results():
    result = make_result(make_split())
    text = printed(result, 80)
    for name in ("map_at_r", "mrr", "hit_at_5"):
        assert f"{result.evaluation.metrics[name]:.3f}" in text


def test_without_labels_it_says_so():
    assert "No labels" in printed(make_result(make_split(labelled=False)), 80)


def test_metrics_stand_under_their_cut_offs():
    lines = metric_lines({"hit_at_1": 0.5, "hit_at_10": 1.0, "precision_at_10": 0.25, "mrr": 0.75})
    assert [line.split() for line in lines] == [
        ["@1", "@10"],
        ["hit", "0.500", "1.000"],
        ["precision", "0.250"],
        ["MRR", "0.750"],
    ]


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 B"), (1023, "1023 B"), (3_400_000, "3.2 MiB"), (2**40, "1024.0 GiB")]
)
def test_sizes_have_units(n, text):
    assert size(n) == text
