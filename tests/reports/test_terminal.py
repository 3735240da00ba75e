"""The report of a run on the terminal."""

import re
from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from outliers_bench.evaluation.statistics import add_statistics
from outliers_bench.reports.numbers import score_rows
from outliers_bench.reports.terminal import format_metrics, show_finished, show_record, show_result
from outliers_bench.result import FinishedRun, RunHandle
from outliers_bench.tracking.log_result import collect_metrics
from outliers_bench.types import LeftOut
from tests.results import make_result, make_split

NAME = "toynet · exact · cosine"
RUN = RunHandle(
    uri="sqlite:////somewhere/mlflow.db",
    run_id="0123456789abcdef",
    experiment_id="1",
    name=NAME,
    artifact_uri="file:///somewhere/mlartifacts/toy/0123456789abcdef/artifacts",
)


def render(result, width):
    out = StringIO()
    show_result(result, NAME, console=Console(file=out, width=width))
    return out.getvalue()


def render_record(run, pictures):
    out = StringIO()
    show_record(run, pictures, console=Console(file=out, width=80))
    return out.getvalue()


def with_intervals(result):
    scored = add_statistics(result.evaluation, result.split, cluster="label")
    return replace(result, evaluation=replace(scored, chance={"hit_at_1": 0.25}))


@pytest.mark.parametrize("width", [80, 120])
def test_rows_fit_the_width_except_paths_and_commands(width):
    text = render(with_intervals(make_result(make_split())), width)
    assert max(map(len, text.splitlines())) <= width
    assert "1 unreadable" in text


def test_the_record_has_paths_and_commands_that_can_be_copied():
    text = render_record(RUN, f"{RUN.artifact_uri}/pictures")
    assert "--backend-store-uri sqlite:////somewhere/mlflow.db --host 127.0.0.1\n" in text
    assert "/somewhere/mlartifacts/toy/0123456789abcdef/artifacts/pictures\n" in text


def test_paths_are_decoded_and_commands_are_quoted():
    run = replace(RUN, uri="sqlite:////some where/mlflow.db")
    text = render_record(run, "file:///some%20where/a%23b/artifacts/pictures")
    assert "/some where/a#b/artifacts/pictures\n" in text
    assert "--backend-store-uri 'sqlite:////some where/mlflow.db' --host" in text
    uri = "mlflow-artifacts:/1/2/artifacts/pictures"
    assert f"{uri}\n" in render_record(run, uri)


def test_a_run_that_waits_has_pictures_but_no_id():
    assert render_record(None, "/cache/outbox/pictures").split() == [
        "pictures",
        "/cache/outbox/pictures",
    ]
    assert render_record(None, None) == ""


def test_unsupported_files_are_counted_as_excluded():
    split = replace(make_split(), left_out=(LeftOut("a.heic", "unsupported", "HEIC"),) * 3)
    assert "excluded     3 of an unsupported format" in render(make_result(split), 80)


def test_printed_scores_are_those_of_the_result():
    result = make_result(make_split())
    text = render(result, 80)
    for name in ("map_at_r", "mrr", "hit_at_5"):
        assert f"{result.evaluation.metrics[name]:.3f}" in text


def test_missing_labels_are_reported():
    assert "No labels" in render(make_result(make_split(labeled=False)), 80)


def test_metrics_are_in_the_columns_of_their_cut_offs():
    lines = format_metrics(
        {"hit_at_1": 0.5, "hit_at_10": 1.0, "precision_at_10": 0.25, "mrr": 0.75}
    )
    assert [line.split() for line in lines] == [
        ["@1", "@10"],
        ["hit", "0.500", "1.000"],
        ["precision", "0.250"],
        ["MRR", "0.750"],
    ]


def test_intervals_are_below_metrics_with_cut_offs_and_next_to_the_others():
    metrics = {"hit_at_1": 0.5, "hit_at_10": 1.0, "precision_at_10": 0.25, "mrr": 0.75}
    ends = {"hit_at_1": (0.4, 0.6), "hit_at_10": (0.99, 1.0), "precision_at_10": (0.2, 0.3)}
    lines = format_metrics(metrics, ends | {"mrr": (0.7, 0.8)})
    assert [line.split() for line in lines] == [
        ["@1", "@10"],
        ["hit", "0.500", "1.000"],
        ["95%", "0.400-0.600", "0.990-1.000"],
        ["precision", "0.250"],
        ["95%", "0.200-0.300"],
        ["MRR", "0.750", "0.700-0.800"],
    ]
    table = lines[:5]
    assert len({len(line) for line in table}) == 1, "figures and intervals are right-aligned"


def test_a_finished_run_shows_its_recorded_intervals():
    result = with_intervals(make_result(make_split()))
    recorded = collect_metrics(result)
    scores = list(result.evaluation.metrics)
    scores += [f"balanced/{name}" for name in scores]
    names = [f"ci95/{name}_{end}" for name in scores for end in ("low", "high")]
    assert list(recorded)[-len(names) :] == names
    assert recorded["ci95/mrr_low"] == result.evaluation.intervals["mrr"][0]
    assert recorded["ci95/mrr_high"] == result.evaluation.intervals["mrr"][1]

    out = StringIO()
    run = FinishedRun("1", NAME, "toy", 0.0, recorded, cluster="label")
    show_finished(run, console=Console(file=out, width=80))
    reported, expected = out.getvalue(), render(result, 80)
    assert "  95%  " in reported
    assert reported.split("\n\n")[0] == expected.split("\n\n")[0]
    facts = reported.split("\n\n")[1].split("\nfinished")[0]
    assert facts in expected, "the same clusters, class-balanced means and chance"
    assert "over 4 individuals (labels); fewer than 6 show no difference" in facts
    assert "hit@1 0.250" in facts


def test_a_run_recorded_without_intervals_is_shown_without_them():
    out = StringIO()
    run = FinishedRun("1", "x", "toy", 0.0, {"mrr": 0.5})
    show_finished(run, console=Console(file=out, width=80))
    assert re.search(r"^MRR +0\.500$", out.getvalue(), re.MULTILINE)
    assert "95%" not in out.getvalue()


def test_score_rows_have_their_intervals():
    result = with_intervals(make_result(make_split()))
    low, high = result.evaluation.intervals["map_at_r"]
    value = result.evaluation.metrics["map_at_r"]
    assert dict(score_rows(result))["MAP@R"] == f"{value:.3f} [{low:.3f}, {high:.3f}]"
    assert dict(score_rows(make_result(make_split())))["MAP@R"] == f"{value:.3f}"


def test_times_have_units_and_are_not_shown_below_a_millisecond():
    result = make_result(make_split())
    seconds = {"load": 5e-5, "decode": 1.684, "embed": 53.2}
    result = replace(result, costs=replace(result.costs, seconds=seconds))
    assert "time         load <1 ms · decode 1.68 s · embed 53.2 s\n" in render(result, 80)
