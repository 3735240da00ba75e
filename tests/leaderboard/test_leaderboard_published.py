"""Rows of a published table on the leaderboard."""

from io import StringIO

from rich.console import Console

from outliers_bench.config.published import read_table
from outliers_bench.leaderboard import read_boards, show_boards
from outliers_bench.leaderboard.columns import select_columns
from tests.boards import TABLE, detailed


def test_all_rows_of_a_table_appear_with_measured_figures_only(uri, table_runs):
    (board,), _ = read_boards(uri, data="detailed", table=TABLE)
    assert [row.run_id for row in board.measured_rows] == [
        table_runs[n] for n in ("best", "near", "far")
    ]
    assert sorted(row.published.row for row in board.rows) == sorted(
        row.row for row in read_table(TABLE)
    )
    status = {row.published.row: row.status for row in board.rows if not row.is_measured}
    assert status == {
        "transfer_vgg16": "weights not available",
        "transfer_mobilenet": "failed: ValueError: odd",
        "transfer_resnet50": "killed",
        "transfer_resnet50v2": "not run",
        "transfer_efficientnetv2b3": "not run",
    }
    columns = select_columns(board, "hit_at_1")
    header = [column.heading for column in columns]
    rows = [[column.text(row) for column in columns] for row in board.rows]
    position = header.index("pub@1")
    assert {row[header.index("published row")]: row[position] for row in rows}[
        "CNN from scratch"
    ] == "0.33"
    assert rows[1][header.index("pub@5")] == "0.5 (top 3)"
    for row in rows[3:]:
        assert not any(row[header.index(name)] for name in ("rank", "hit@1", "p", "ms/query"))


def test_a_table_without_finished_runs_has_a_board(uri, table_runs):
    (board,), excluded = read_boards(uri, data="else", table=TABLE)
    assert not board.measured_rows
    assert len(board.rows) == len(read_table(TABLE))
    assert excluded == {}
    assert "failed: too little memory" in [row.status for row in board.rows]


def test_80_columns_have_the_names_and_figures_of_a_published_table(uri, table_runs):
    boards, _ = read_boards(uri, data="detailed", table=TABLE)
    out = StringIO()
    show_boards(boards, metric="hit_at_1", console=Console(file=out, width=80))
    text = out.getvalue()
    assert max(map(len, text.splitlines())) <= 80
    for shown in ("published row", "pub@1", "status", "CNN from scratch", "0.192", "0.250"):
        assert shown in text
    assert "Best: image_matching" in text
    assert "95%:" not in text.split("Best")[1]  # no legend without the column


def test_the_newest_run_has_the_rows_of_older_runs_with_its_identity(uri, client):
    same = {"identity": "twice", "data": "twice"}
    detailed(client, "sift", 3, row="sift", **same)
    newest = detailed(client, "sift", 3, **same)
    (board,), _ = read_boards(uri, data="twice", table=TABLE)
    assert [(row.run_id, row.published.row) for row in board.measured_rows] == [(newest, "sift")]
    (board,), _ = read_boards(uri, data="twice")
    assert [row.published.top_1 for row in board.rows] == [0.192]
