"""What a run prints at its end."""

from dataclasses import replace
from io import StringIO
from types import SimpleNamespace

import pytest
from rich.console import Console

from outliers_bench.evaluation import confidence_intervals
from outliers_bench.reports.numbers import scores, size
from outliers_bench.reports.terminal import metric_lines, show, show_finished
from outliers_bench.tracking.log_result import collect_metrics
from outliers_bench.types import LeftOut
from tests.results import make_result, make_split

HANDLE = SimpleNamespace(
    name="toynet · exact · cosine",
    run_id="0123456789abcdef",
    uri="sqlite:////somewhere/mlflow.db",
    artifact_uri="file:///somewhere/mlartifacts/toy/0123456789abcdef/artifacts",
)


def printed(result, width, *, handle=HANDLE, pictures=("best",)):
    out = StringIO()
    show(result, handle, pictures=pictures, console=Console(file=out, width=width))
    return out.getvalue()


def with_intervals(result):
    found = confidence_intervals(result.evaluation.per_query, seed=0)
    return replace(result, evaluation=replace(result.evaluation, intervals=found))


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_and_pointers_stay_whole(width):
    text = printed(with_intervals(make_result(make_split())), width)
    pointers = ("pictures", "MLflow run", "look at it")
    table = [line for line in text.splitlines() if not line.startswith(pointers)]
    assert max(map(len, table)) <= width
    assert "--backend-store-uri sqlite:////somewhere/mlflow.db --host 127.0.0.1" in text
    assert "/somewhere/mlartifacts/toy/0123456789abcdef/artifacts/pictures" in text
    assert "1 unreadable" in text


def test_pointers_are_real_paths_and_commands_that_a_shell_takes():
    handle = SimpleNamespace(
        name="x",
        run_id="1",
        uri="sqlite:////some where/mlflow.db",
        artifact_uri="file:///some%20where/a%23b/artifacts",
    )
    text = printed(make_result(make_split()), 80, handle=handle)
    assert "/some where/a#b/artifacts/pictures\n" in text
    assert "--backend-store-uri 'sqlite:////some where/mlflow.db' --host" in text
    handle.artifact_uri = "mlflow-artifacts:/1/2/artifacts"
    assert "mlflow-artifacts:/1/2/artifacts/pictures\n" in printed(
        make_result(make_split()), 80, handle=handle
    )


def test_where_no_pictures_were_drawn_none_are_pointed_at():
    assert "pictures" not in printed(make_result(make_split()), 80, pictures=())


def test_files_that_nothing_here_decodes_are_counted():
    left_out = (LeftOut("a.heic", "unsupported", "HEIC"),) * 3
    assert "3 unsupported" in printed(make_result(replace(make_split(), left_out=left_out)), 80)


def test_figures_are_the_results():
    result = make_result(make_split())
    text = printed(result, 80)
    for name in ("map_at_r", "mrr", "hit_at_5"):
        assert f"{result.evaluation.metrics[name]:.3f}" in text


def test_without_labels_it_says_so():
    assert "No labels" in printed(make_result(make_split(labeled=False)), 80)


def test_metrics_stand_under_their_cut_offs():
    lines = metric_lines({"hit_at_1": 0.5, "hit_at_10": 1.0, "precision_at_10": 0.25, "mrr": 0.75})
    assert [line.split() for line in lines] == [
        ["@1", "@10"],
        ["hit", "0.500", "1.000"],
        ["precision", "0.250"],
        ["MRR", "0.750"],
    ]


def test_intervals_stand_under_what_has_cut_offs_and_beside_the_rest():
    metrics = {"hit_at_1": 0.5, "hit_at_10": 1.0, "precision_at_10": 0.25, "mrr": 0.75}
    ends = {"hit_at_1": (0.4, 0.6), "hit_at_10": (0.99, 1.0), "precision_at_10": (0.2, 0.3)}
    lines = metric_lines(metrics, ends | {"mrr": (0.7, 0.8)})
    assert [line.split() for line in lines] == [
        ["@1", "@10"],
        ["hit", "0.500", "1.000"],
        ["95%", "0.400-0.600", "0.990-1.000"],
        ["precision", "0.250"],
        ["95%", "0.200-0.300"],
        ["MRR", "0.750", "0.700-0.800"],
    ]
    table = lines[:5]
    assert len({len(line) for line in table}) == 1, "figures and intervals end in one column"


def test_a_run_found_again_shows_the_intervals_that_were_recorded():
    result = with_intervals(make_result(make_split()))
    recorded = collect_metrics(result)
    names = [f"ci95/{name}_{end}" for name in result.evaluation.metrics for end in ("low", "high")]
    assert list(recorded)[-len(names) :] == names
    assert recorded["ci95/mrr_low"] == result.evaluation.intervals["mrr"][0]
    assert recorded["ci95/mrr_high"] == result.evaluation.intervals["mrr"][1]

    out = StringIO()
    run = SimpleNamespace(name=HANDLE.name, data="toy", metrics=recorded, begun=0.0, run_id="1")
    show_finished(run, console=Console(file=out, width=80))
    again, before = out.getvalue(), printed(result, 80)
    assert "  95%  " in again
    assert again.split("\n\n")[0] == before.split("\n\n")[0]


def test_a_run_recorded_without_intervals_is_shown_without():
    out = StringIO()
    run = SimpleNamespace(name="x", data="toy", metrics={"mrr": 0.5}, begun=0.0, run_id="1")
    show_finished(run, console=Console(file=out, width=80))
    assert "MRR 0.500" in out.getvalue()
    assert "95%" not in out.getvalue()


def test_scores_for_a_description_have_their_intervals():
    result = with_intervals(make_result(make_split()))
    low, high = result.evaluation.intervals["map_at_r"]
    value = result.evaluation.metrics["map_at_r"]
    assert dict(scores(result))["MAP@R"] == f"{value:.3f} [{low:.3f}, {high:.3f}]"
    assert dict(scores(make_result(make_split())))["MAP@R"] == f"{value:.3f}"


@pytest.mark.parametrize(
    ("n", "text"), [(0, "0 B"), (1023, "1023 B"), (3_400_000, "3.2 MiB"), (2**40, "1024.0 GiB")]
)
def test_sizes_have_units(n, text):
    assert size(n) == text
