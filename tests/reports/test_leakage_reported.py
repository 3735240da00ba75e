"""Leakage as reported on the terminal, in MLflow and on the leaderboard."""

from __future__ import annotations

import csv
import re
from dataclasses import replace

import pytest

from outliers_bench.config.schema import Cache, Config
from outliers_bench.data.source import DataSource
from outliers_bench.duplicates.pairs import Pair
from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.evaluation.metrics import lower_is_better
from outliers_bench.leaderboard import sentences
from outliers_bench.leaderboard.boards import Board, Row
from outliers_bench.leaderboard.terminal import show_boards
from outliers_bench.leaderboard.write import write_boards
from outliers_bench.leakage.find import Leaks
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pixels import Pixels
from outliers_bench.reports import numbers
from outliers_bench.result import LeakageScores
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.reduction.learned_whitening import LearnedWhitening
from outliers_bench.retrieval.reduction.pca import Pca
from outliers_bench.runtime.meter import Meter
from outliers_bench.tracking.log_result import collect_metrics
from outliers_bench.training.models import CnnScratch
from tests.results import make_result, make_split

PIXELS = Pixels("pixels", 8)
BY_EARLIER_RUN = Backbone("mobilenet", 224, "MobileNet", 1024, weights="runs:/abc/model")
CONFIG = Config(data=DataSource("toy"), model=PIXELS, index=Exact("exact"), cache=Cache("x"))


@pytest.mark.parametrize(
    ("metrics", "expected"),
    [
        ({}, ""),
        ({"leaks_exact": 0, "leaks_near": 0, "hit_at_1": 1}, ""),
        ({"leaks_exact": 1}, "1 pair of duplicates across parts (exact)"),
        (
            {"leaks_exact": 1, "hit_at_1": 0.5},
            "1 pair of duplicates across parts (exact); no score without them",
        ),
        (
            {"leaks_near": 2, "leaks_two_labels": 1},
            "2 pairs of duplicates across parts (near), 1 under two labels",
        ),
        (
            {"leaks_near": 2, "leaks_gallery_gallery": 2},
            "2 pairs of duplicates within the set (near)",
        ),
        (
            {"leaks_exact": 3, "leaks_near": 4, "hit_at_1": 0.25, "with_leaks/hit_at_1": 0.5},
            "7 pairs of duplicates across parts (3 exact, 4 near): hit@1 0.250, with them 0.500",
        ),
    ],
)
def test_description_has_the_pairs_and_both_scores(metrics, expected):
    assert numbers.describe_leakage(metrics) == expected


def leaky_result():
    """Return a result with one leaked pair; both of its scores are the same."""
    result = make_result(make_split())
    split = result.split
    leaks = Leaks(
        split.query.take([0, 1]),
        ("query", "gallery"),
        ("ant", "bee"),
        (Pair(0, 1, "near", 0.9),),
        5,
    )
    evaluation = replace(result.evaluation, intervals={"hit_at_1": (0.125, 0.75)})
    return replace(result, leaks=leaks, leakage_scores=LeakageScores("without_leaks", evaluation))


def test_metrics_of_leakage_have_valid_names():
    result = leaky_result()
    metrics = collect_metrics(result)
    for name, value in result.evaluation.metrics.items():
        assert metrics[f"without_leaks/{name}"] == metrics[name] == value
    assert metrics["ci95/without_leaks/hit_at_1_low"] == 0.125
    assert metrics["ci95/without_leaks/hit_at_1_high"] == 0.75
    assert {
        name: n for name, n in metrics.items() if name.startswith(("leaks_", "images_not"))
    } == {
        "leaks_exact": 0,
        "leaks_near": 1,
        "leaks_query_gallery": 1,
        "leaks_two_labels": 1,
        "images_not_compared": 5,
    }
    assert all(re.fullmatch(r"[\w\-. /]+", name) for name in metrics)
    ((heading, text),) = numbers.leakage_rows(result)
    assert heading == "leakage"
    assert text.endswith("; 5 photos too small or too flat to look for near duplicates")
    clean = replace(
        result, leaks=replace(result.leaks, pairs=(), not_compared=0), leakage_scores=None
    )
    assert numbers.leakage_rows(clean) == [("leakage", "none found")]
    assert numbers.leakage_rows(make_result(make_split())) == []


def test_counts_of_leaks_are_minimized():
    assert all(
        lower_is_better(f"leaks_{what}") for what in ("near", "query_train", "gallery_gallery")
    )
    assert not lower_is_better("without_leaks/hit_at_1")


def row(rank, model, hit, without_leaks):
    metrics = {"hit_at_1": hit, "leaks_exact": 2.0, "leaks_near": 1.0}
    if without_leaks is not None:
        names = ["without_leaks/hit_at_1"]
        names += [f"ci95/without_leaks/hit_at_1_{end}" for end in ("low", "high")]
        metrics |= dict.fromkeys(names, without_leaks)
    method = dict.fromkeys(("variant", "reduction", "index", "similarity", "rerank"), "") | {
        "model": model
    }
    return Row(rank=rank, name=model, run_id=model, method=method, metrics=metrics)


def test_the_leaderboard_has_both_scores(tmp_path, capsys):
    from rich.console import Console

    rows = row(1, "leaker", 0.875, 0.5), row(2, "honest", 0.75, 0.625), row(3, "old", 0.5, None)
    board = Board("photos", "one", 40, 20, rows)
    summary = " ".join(sentences.best(board, "hit_at_1"))
    assert "3 pairs of duplicates across parts (2 exact, 1 near)." in summary
    assert "Best without leakage: honest, hit@1 0.625." in summary
    show_boards([board], metric="hit_at_1", console=Console(width=150))
    line = next(line for line in capsys.readouterr().out.splitlines() if "leaker" in line)
    assert re.search(r"0\.875 +0\.500", line)

    write_boards([board], tmp_path, metric="hit_at_1")
    markdown = (tmp_path / "leaderboard.md").read_text()
    assert "| 0.875 | 0.500 (0.500–0.500) |" in markdown
    rows = list(csv.DictReader((tmp_path / "leaderboard.csv").open()))
    assert [line["without_leaks/hit_at_1"] for line in rows] == ["0.5", "0.625", ""]
    page = (tmp_path / "leaderboard.html").read_text()
    assert "without leakage</button>" in page
    assert 'data-value="0.625"' in page


def test_a_board_without_leakage_does_not_mention_it(tmp_path):
    clean = replace(row(1, "m", 0.5, None), metrics={"hit_at_1": 0.5, "leaks_exact": 0.0})
    board = Board("photos", "one", 40, 20, (clean,))
    write_boards([board], tmp_path, metric="hit_at_1")
    for file in tmp_path.iterdir():
        text = re.sub(r"leaks_\w+", "", file.read_text().partition("<script>")[0])
        assert "leaks" not in text
        assert "leakage" not in text


@pytest.mark.parametrize(
    ("changes", "learns"),
    [
        ({}, False),
        ({"pca": Pca(2)}, False),
        ({"reduce": LearnedWhitening(n=2)}, True),
        ({"model": CnnScratch(name="cnn_scratch")}, True),
        ({"model": BY_EARLIER_RUN}, True),
    ],
)
def test_learns_from_labels(changes, learns):
    assert replace(CONFIG, **changes).method(Meter()).learns_from_labels is learns


@pytest.mark.parametrize(
    ("weights", "member", "learns"),
    [
        ("equal", PIXELS, False),
        ("tuned", PIXELS, True),
        ("equal", CnnScratch(name="cnn"), True),
        ("equal", BY_EARLIER_RUN, True),  # of which nobody knows what it has seen
    ],
)
@pytest.mark.parametrize("fusion", [Fusion.concat, Fusion.rrf])
def test_an_ensemble_learns_from_labels_if_its_weights_or_members_do(
    weights, member, learns, fusion
):
    ensemble = Ensemble("ensemble", ["a", "b"], member_weights=weights, fusion=fusion)
    ensemble.models = (PIXELS, member)
    assert replace(CONFIG, model=ensemble).method(Meter()).learns_from_labels is learns


def test_a_network_of_an_earlier_run_has_learned_from_labels():
    assert CnnScratch(name="cnn", weights="runs:/abc/model").learns_from_labels
