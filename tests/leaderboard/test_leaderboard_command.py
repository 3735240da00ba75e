"""Command `leaderboard`: terminal, files and error messages."""

import csv
import subprocess
import sys
from io import StringIO

import pytest
from rich.console import Console

from outliers_bench.errors import BenchError
from outliers_bench.leaderboard import read_boards, show_boards
from outliers_bench.leaderboard.command import run
from tests.boards import NAME


def test_files_have_the_metrics_of_mlflow_in_full_precision(uri, client, runs, tmp_path, capsys):
    files = [f"out={tmp_path}", "format=md,csv"]
    assert run([f"uri={uri}", f"experiment={NAME}", *files]) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["leaderboard.csv", "leaderboard.md"]
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
    assert "Excluded: 1 finished run without hit_at_1." in capsys.readouterr().out


@pytest.mark.parametrize("width", [50, 80, 120])
def test_tables_fit_the_terminal(uri, runs, width):
    boards, _ = read_boards(uri, experiment=NAME)
    out = StringIO()
    show_boards(boards, metric="hit_at_1", console=Console(file=out, width=width))
    lines = out.getvalue().splitlines()
    assert max(map(len, lines)) <= width
    assert "…" not in out.getvalue()


def test_invalid_options_are_reported(uri, runs, tmp_path, capsys):
    assert run([f"uri={uri}", "experiment=nosuch"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert NAME in error
    for invalid in ("table=nosuch", "format=pdf", "metric=nosuch"):
        assert run([f"uri={uri}", f"data={NAME}", f"out={tmp_path}", invalid]) == 2
        error = capsys.readouterr().err
        assert error.startswith("error: ")
        assert error.count("\n") == 1
        assert invalid.partition("=")[2] in error
    assert run([f"uri={uri}", f"data={NAME}", "format="]) == 2
    assert capsys.readouterr().err == "error: format= is empty; omit it to use the default\n"
    for address in ("ftp://x", "http://", "http://["):
        assert run(["uri=sqlite:///nowhere.db", f"ui={address}"]) == 2
        assert "no web address" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
    (tmp_path / "leaderboard.md").mkdir()
    assert run([f"uri={uri}", f"data={NAME}", f"out={tmp_path}", "format=csv, md"]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: cannot write")
    assert error.count("\n") == 1
    with pytest.raises(BenchError, match="has the metric recall_at_7"):
        read_boards(uri, metric="recall_at_7", data=NAME)
    with pytest.raises(BenchError, match="no finished runs"):
        read_boards(uri, data="nosuch")


def test_a_missing_database_is_reported_with_how_to_create_one(tmp_path):
    command = [sys.executable, "-m", "outliers_bench.leaderboard"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: ")
    assert "python -m outliers_bench" in done.stderr
    assert not list(tmp_path.iterdir())
