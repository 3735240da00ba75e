"""The leaderboard: one table a split, newest run an identity, ranks and numbers as in MLflow."""

import csv
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from outliers_bench.errors import BenchError
from outliers_bench.leaderboard import main
from outliers_bench.reports.leaderboard import cells, read_boards, show_boards
from outliers_bench.tracking.store import experiment_id
from outliers_bench.tracking.sweep import start_parent

NAME = "board"


def record(uri, client, *, model, hit, fingerprint="one", identity=None, fail=False):
    """A run with made-up figures; what makes them is none of the leaderboard's business."""
    tags = {"kind": "run", "data": NAME, "model": model, "pca": "none", "index": "exact"}
    tags["variant"] = "8px"
    tags |= {"metric": "cosine", "split_fingerprint": fingerprint, "identity": identity or model}
    run = client.create_run(experiment_id(client, NAME), tags=tags, run_name=model)
    if hit is not None:
        client.log_metric(run.info.run_id, "hit_at_1", hit)
        client.log_metric(run.info.run_id, "map_at_r", hit / 3)
        client.log_metric(run.info.run_id, "search_ms_per_query", 12.5 * hit)
        client.log_metric(run.info.run_id, "index_bytes", 2048 * hit)
    client.set_terminated(run.info.run_id, "FAILED" if fail else "FINISHED")
    return run.info.run_id


@pytest.fixture(scope="module")
def runs(uri, client):
    ids = {
        "old": record(uri, client, model="a", hit=0.9),
        "a": record(uri, client, model="a", hit=1 / 3),
        "b": record(uri, client, model="b", hit=0.7),
        "c": record(uri, client, model="c", hit=1 / 3),
        "d": record(uri, client, model="d", hit=0.1),
        "else": record(uri, client, model="b", hit=0.99, fingerprint="two", identity="b2"),
    }
    record(uri, client, model="failed", hit=1.0, fail=True)
    record(uri, client, model="unlabelled", hit=None)
    parent = start_parent(client, NAME, overrides=[])
    client.log_metric(parent, "hit_at_1", 1.0)
    client.set_terminated(parent, "FINISHED")
    return ids


def test_splits_are_apart_and_ties_share_a_rank(uri, runs):
    boards, left_out = read_boards(uri, data=NAME)
    assert [board.fingerprint for board in boards] == ["one", "two"]
    assert [(row.rank, row.name) for row in boards[0].rows] == [
        (1, "b"),
        (2, "a"),
        (2, "c"),
        (4, "d"),
    ]
    assert boards[0].rows[1].run_id == runs["a"]  # not the older, better one
    assert [row.run_id for row in boards[1].rows] == [runs["else"]]
    assert left_out == 1


@pytest.mark.parametrize(
    ("metric", "heading", "most"),
    [("search_ms_per_query", "ms/query", "8.75"), ("index_bytes", "index bytes", "1.4 KiB")],
)
def test_costs_are_ranked_from_small_to_large(uri, runs, metric, heading, most):
    boards, _ = read_boards(uri, data=NAME, metric=metric)
    ranked = [(row.rank, row.name) for row in boards[0].rows]
    assert ranked == [(1, "d"), (2, "a"), (2, "c"), (4, "b")]
    header, _ = cells(boards[0], metric)
    assert len(set(header)) == len(header)
    out = StringIO()
    show_boards(boards, metric=metric, console=Console(file=out, width=50))
    assert heading in out.getvalue()
    assert most in out.getvalue()


def test_files_hold_mlflows_numbers_in_full(uri, client, runs, tmp_path, capsys):
    assert main(["--uri", uri, "--experiment", NAME, "--out", str(tmp_path)]) == 0
    with (tmp_path / "leaderboard.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 5
    for row in rows:
        metrics = client.get_run(row["run_id"]).data.metrics
        assert float(row["hit_at_1"]) == metrics["hit_at_1"]
        assert float(row["map_at_r"]) == metrics["map_at_r"]
    assert (
        "| 2 | a | 8px | none | exact | cosine | 0.333 |"
        in (tmp_path / "leaderboard.md").read_text()
    )
    assert "Left out: 1 finished runs" in capsys.readouterr().out


@pytest.mark.parametrize("width", [50, 80, 120])
def test_tables_fit_the_terminal(uri, runs, width):
    boards, _ = read_boards(uri, experiment=NAME)
    out = StringIO()
    show_boards(boards, metric="hit_at_1", console=Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in out.getvalue()


def test_mistakes_are_named(uri, runs, tmp_path, capsys):
    assert main(["--uri", uri, "--experiment", "nosuch"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert NAME in said
    with pytest.raises(BenchError, match="has the metric recall_at_7"):
        read_boards(uri, metric="recall_at_7", data=NAME)
    with pytest.raises(BenchError, match="no finished runs"):
        read_boards(uri, data="nosuch")


def test_without_a_database_the_command_says_how_to_make_one(tmp_path):
    command = [sys.executable, "-m", "outliers_bench.leaderboard"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "python -m outliers_bench" in done.stderr
    assert not list(tmp_path.iterdir())
