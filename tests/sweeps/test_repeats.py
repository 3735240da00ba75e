"""Repeated runs: one method on several splits, and one row on the leaderboard for them."""

from collections import defaultdict

import numpy as np
import pytest

from outliers_bench.leaderboard import read_boards
from outliers_bench.leaderboard.sentences import title
from outliers_bench.sweeps import repeats
from outliers_bench.tracking import senders
from outliers_bench.tracking.runs import PARENT_TAG
from tests.command_line import in_process
from tests.sweeps.sweep_runs import DATA, all_runs, parents, table_of

REPEATED = (*DATA, "model.image_size=8", "data.repeats=3")


def by_kind(workdir):
    found = defaultdict(list)
    for run in all_runs(workdir):
        found[run.data.tags["kind"]].append(run)
    return found


def queries(run):
    return {row["query"]: row for row in table_of(run, "per_query.csv")}


def test_a_repeated_run_has_mean_and_spread_of_its_splits(workdir, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, *REPEATED)
    assert done.code == 0, done.err
    runs = by_kind(workdir)
    (whole,), splits = runs["repeated run"], runs["split"]
    assert set(runs) == {"repeated run", "split"}
    assert {run.data.tags[PARENT_TAG] for run in splits} == {whole.info.run_id}
    assert sorted(run.data.params["data.split_seed"] for run in splits) == ["0", "1", "2"]

    values = [float(row["map_at_r"]) for run in splits for row in queries(run).values()]
    scores = [run.data.metrics["map_at_r"] for run in splits]
    metrics = whole.data.metrics
    assert metrics["map_at_r"] == pytest.approx(np.mean(values), abs=1e-12)
    assert metrics["spread/map_at_r"] == pytest.approx(np.std(scores, ddof=1), abs=1e-12)
    assert (metrics["splits"], metrics["queries"]) == (3, 90)
    assert metrics["ci95/map_at_r_low"] < metrics["map_at_r"] < metrics["ci95/map_at_r_high"]

    rows = queries(whole)
    for run in splits:
        number = run.data.tags["split"]
        for name, row in queries(run).items():
            assert rows[f"{number}/{name}"]["map_at_r"] == row["map_at_r"]
    assert len(rows) == len(values)
    photos = {name.partition("/")[2] for name in rows}
    assert metrics["clusters"] == len({row["cluster"] for row in rows.values()}) == len(photos)
    assert "\nsplit 2 " in done.out
    assert f"{metrics['map_at_r']:.3f}   ±{metrics['spread/map_at_r']:.3f}" in done.out

    again = in_process(monkeypatch, capsys, *REPEATED, "skip_finished=true")
    assert "nothing computed" in again.out
    assert len(all_runs(workdir)) == 4


def test_all_splits_have_the_kind_of_clusters_of_the_first(workdir, monkeypatch, capsys):
    """With `auto`, labels may be taken for individuals in one split, and not in another."""
    monkeypatch.setattr(repeats, "choose_unit", lambda *_: "label")
    done = in_process(monkeypatch, capsys, *REPEATED)
    assert done.code == 0, done.err
    assert {run.data.tags["cluster"] for run in all_runs(workdir)} == {"label"}
    assert {run.data.metrics["clusters"] for run in all_runs(workdir)} == {10}


def test_a_sweep_of_repeated_runs_is_compared_on_one_board(workdir, monkeypatch, capsys):
    done = in_process(monkeypatch, capsys, "-m", *REPEATED, "pca.n=2,4")
    assert done.code == 0, done.err
    runs = by_kind(workdir)
    (sweep,) = parents(workdir)
    assert {run.data.tags[PARENT_TAG] for run in runs["repeated run"]} == {sweep.info.run_id}
    assert len(runs["split"]) == 6
    scores = [run.data.metrics["hit_at_1"] for run in runs["repeated run"]]
    assert sweep.data.metrics["hit_at_1"] == max(scores)
    (board,), _ = read_boards(f"sqlite:///{workdir}/mlflow.db")
    assert len(board.rows) == 2
    assert board.rows[1].p is not None
    assert title(board).startswith("synthetic: 3 splits, 90 queries in all")


MISTAKES = [
    (("data.repeats=2", "data.protocol=leave_one_out"), "is the same for other seeds"),
    (("data.folds=1",), "data.folds=1: from 2 to 100"),
    (("data.folds=3", "data.validation=0.2"), "data.folds=3 data.validation=0.2: validation"),
    (("data.folds=3", "data.fold=3"), "data.fold=3: from 0 to 2"),
    (("data.folds=3", "data.setting=open_set"), "omit data.setting=open_set"),
    (("data.folds=3", "data.repeats=2"), "give only one of them"),
    (("data.repeats=0",), "data.repeats=0: from 1 to 100"),
    (("data.repeats=2", "data.validation=0.2"), "give only one of them"),
    (("data.repeats=2", "data.split_seed=1"), "omit data.split_seed"),
]
SWEEP = ("-m", "pca.n=2,4")


@pytest.mark.parametrize(
    ("sweep", "options", "expected"),
    [*(((), *case) for case in MISTAKES), *((SWEEP, *case) for case in MISTAKES[:2])],
)
def test_what_cannot_be_repeated_is_refused(sweep, options, expected, workdir, monkeypatch, capsys):
    monkeypatch.setattr(senders, "announce", lambda *_: None)  # would import MLflow
    done = in_process(monkeypatch, capsys, *sweep, *DATA, *options)
    assert done.code == 2
    (line,) = done.err.strip().splitlines()
    assert expected in line
    assert not all_runs(workdir)
