"""Runs on the leaderboard: selection, order and comparison."""

import re
from io import StringIO

import pytest
from rich.console import Console

from outliers_bench.config.published import Published
from outliers_bench.leaderboard import (
    build_boards,
    read_boards,
    show_boards,
)
from outliers_bench.leaderboard.artifacts import read_query_scores
from outliers_bench.leaderboard.boards import Row, row_label
from outliers_bench.leaderboard.columns import select_columns
from tests.boards import NAME, QUERIES, detailed


def test_each_split_has_a_board_and_equals_share_a_rank(uri, runs):
    boards, excluded = read_boards(uri, data=NAME)
    assert [board.fingerprint for board in boards] == ["one", "two"]
    assert [(row.rank, row.name) for row in boards[0].rows] == [
        (1, "b"),
        (2, "a"),
        (2, "c"),
        (4, "d"),
    ]
    assert boards[0].rows[1].run_id == runs["a"]  # not the older, better one
    assert [row.run_id for row in boards[1].rows] == [runs["else"]]
    assert excluded == {"hit_at_1": 1}


@pytest.mark.parametrize(
    ("metric", "heading", "largest"),
    [("search_ms_per_query", "ms/query", "8.75"), ("index_bytes", "index size", "1.4 KiB")],
)
def test_costs_are_ranked_in_ascending_order(uri, runs, metric, heading, largest):
    boards, _ = read_boards(uri, data=NAME, metric=metric)
    ranked = [(row.rank, row.name) for row in boards[0].rows]
    assert ranked == [(1, "d"), (2, "a"), (2, "c"), (4, "b")]
    headings = [column.heading for column in select_columns(boards[0], metric)]
    assert len(set(headings)) == len(headings)
    out = StringIO()
    show_boards(boards, metric=metric, console=Console(file=out, width=50))
    assert heading in out.getvalue()
    assert largest in out.getvalue()


def test_runs_without_metric_or_split_are_excluded_and_counted(uri, client):
    tags = {"data": "odd"}
    good = detailed(client, "good", 30, **tags)
    broken = detailed(client, "broken", None, **tags)
    client.log_metric(broken, "hit_at_1", float("nan"))
    detailed(client, "nowhere", 39, split_fingerprint="", **tags)
    with_nan = detailed(client, "holes", 20, **tags)
    lines = [f"{query}.jpg,{'nan' if query else 1}" for query in range(QUERIES)]
    client.log_text(with_nan, "\n".join(["query,hit_at_1", *lines]), "per_query.csv")
    (board,), excluded = read_boards(uri, data="odd")
    assert [row.run_id for row in board.rows] == [good, with_nan]
    assert excluded == {"hit_at_1": 1, "the fingerprint of their split": 1}
    assert board.rows[1].p is None
    assert "1 with no figures per query" in board.not_compared


def test_runs_of_one_method_are_labeled_by_differing_options(uri, client):
    slow = detailed(client, "same", 30, data="seeds", identity="s0")
    fast = detailed(client, "same", 30, data="seeds", identity="s1")
    client.log_metric(slow, "search_ms_per_query", 99.0)
    for run_id, seed in ((slow, 0), (fast, 1)):
        client.log_param(run_id, "seed", seed)
        # No effect on figures, or in the fingerprint of the split or the variant of the model.
        for option in ("engine.kind", "model.memory_gb", "data.leakage", "engine.precision"):
            client.log_param(run_id, option, f"{option}{seed}")
        client.log_param(run_id, "data.protocol", "leave_one_out")
        client.log_metric(run_id, "gallery_images", QUERIES)
    (board,), _ = read_boards(uri, data="seeds")
    assert [(row.run_id, row.rank) for row in board.rows] == [(fast, 1), (slow, 1)]
    assert [row.method["settings"] for row in board.rows] == ["seed=1", "seed=0"]
    out = StringIO()
    show_boards([board], metric="hit_at_1", console=Console(file=out, width=200))
    assert "Equal best: seed=0." in out.getvalue()
    assert "40 queries, each against all others" in out.getvalue()


def test_runs_are_compared_query_by_query(uri, client, table_runs):
    (board,), _ = read_boards(uri, data="detailed")
    by_id = {row.run_id: row for row in board.rows}
    near, far = by_id[table_runs["near"]], by_id[table_runs["far"]]
    # With one differing query every sign is as extreme; with twenty, none is.
    assert near.tied
    assert near.difference == pytest.approx(-1 / QUERIES)
    assert near.p == pytest.approx(1.0)
    assert far.tied is False
    assert far.p < 0.01
    assert far.difference == pytest.approx(-20 / QUERIES)
    assert board.not_compared == ""
    out = StringIO()
    show_boards([board], metric="hit_at_1", console=Console(file=out, width=250))
    assert re.search(r"^ +2 = +SIFT based model", out.getvalue(), re.MULTILINE)
    assert "= tied with the best" in out.getvalue()


def test_runs_on_the_same_split_share_the_names_of_queries_in_memory(client, table_runs):
    runs = [client.get_run(table_runs[name]) for name in ("best", "near")]
    first, second = (
        scores.names for scores in read_query_scores(client, runs, "hit_at_1").values()
    )
    assert all(name is other for name, other in zip(first, second, strict=True))


def test_a_board_ranked_by_a_cost_and_a_board_of_selected_runs(uri, client, table_runs):
    (board,), _ = read_boards(uri, data="detailed", metric="search_ms_per_query")
    assert all(row.p is None for row in board.rows)
    (board,), _ = read_boards(uri, data="detailed", metric="images_per_second")
    assert "img/s has no figures per query" in board.not_compared
    selected = [client.get_run(table_runs[name]) for name in ("unpublished", "near")]
    (board,) = build_boards(client, selected, metric="hit_at_1")
    assert [row.run_id for row in board.rows] == [table_runs["near"], table_runs["unpublished"]]


def test_a_published_row_without_a_title_has_the_name_of_its_file():
    assert row_label(Row(published=Published(row="sift"))) == "sift"
