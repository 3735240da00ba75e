"""Submissions on disk, limits, and what the leaderboard makes of them."""

import asyncio
import multiprocessing
import sqlite3

import pytest

from outliers_bench.apps.competition.board import Facts, as_data, as_page, standings
from outliers_bench.apps.competition.check import RefusedError
from outliers_bench.apps.competition.rate_limit import PerMinute, read_body
from outliers_bench.apps.competition.score import SubmissionScore
from outliers_bench.apps.competition.store import Entry, Store
from outliers_bench.errors import BenchError
from tests.boards import NASTY


def worth(hit):
    return SubmissionScore({"hit_at_1": hit}, {"hit_at_1": (hit / 2, (1 + hit) / 2)})


def add(store, group, hit, *, now=1000.0, per_hour=100):
    return store.add(group, worth(hit), b"{}", now=now, per_hour=per_hour)


def test_what_is_added_is_read_back_by_another(tmp_path) -> None:
    first = Store(tmp_path / "c.db", "one")
    assert first.entries() == []
    entries = [add(first, "a", 1 / 3), add(first, "b", 0.7, now=1001.5)]
    again = Store(tmp_path / "c.db", "one")
    assert again.entries() == entries
    assert [entry.number for entry in entries] == [1, 2]
    other = Store(tmp_path / "c.db", "two")
    assert (other.entries(), other.elsewhere()) == ([], 2)


def test_what_is_no_store_of_submissions(tmp_path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 1000)
    for path in (tmp_path / "photo.jpg", tmp_path, tmp_path / "nowhere" / "c.db"):
        with pytest.raises(BenchError, match=r"store=.*cannot be kept there"):
            Store(path, "one")


def test_a_group_hands_in_so_often_an_hour(tmp_path) -> None:
    store = Store(tmp_path / "c.db", "one")
    for now in (0.0, 1000.0):
        add(store, "a", 0.5, now=now, per_hour=2)
    add(store, "b", 0.5, now=1000.0, per_hour=2)
    with pytest.raises(RefusedError) as refused:
        add(store, "a", 0.5, now=3599.0, per_hour=2)
    assert (refused.value.status, refused.value.wait) == (429, 1.0)
    add(store, "a", 0.5, now=3601.0, per_hour=2)
    assert len(store.entries()) == 4


def _hand_in(path, group):
    store = Store(path, "one")
    for i in range(20):
        try:
            store.add(group, worth(i / 20), b"{}", now=5.0, per_hour=30)
        except RefusedError:
            return


def test_processes_that_write_at_once_lose_nothing_and_keep_the_limit(tmp_path) -> None:
    Store(tmp_path / "c.db", "one")
    context = multiprocessing.get_context("fork")
    groups = ("a", "a", "b")
    workers = [
        context.Process(target=_hand_in, args=(tmp_path / "c.db", group)) for group in groups
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    counted = [entry.group for entry in Store(tmp_path / "c.db", "one").entries()]
    assert (counted.count("a"), counted.count("b")) == (30, 20)


def test_a_kill_in_the_middle_of_writing_leaves_what_was_whole(tmp_path) -> None:
    store = Store(tmp_path / "c.db", "one")
    add(store, "a", 0.5)
    dying = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    dying.execute("BEGIN IMMEDIATE")
    dying.execute("UPDATE submissions_1 SET groupname = 'b'")
    dying.close()  # never committed
    assert [entry.group for entry in store.entries()] == ["a"]


def test_an_address_comes_so_often_a_minute() -> None:
    visits = PerMinute(2)
    for now in (0.0, 30.0):
        visits.admit("a", now)
    visits.admit("b", 31.0)
    with pytest.raises(RefusedError) as refused:
        visits.admit("a", 59.0)
    assert (refused.value.status, refused.value.wait) == (429, 1.0)
    visits.admit("a", 60.0)
    with pytest.raises(RefusedError):
        visits.admit("a", 61.0)


class Request:
    def __init__(self, *pieces):
        self.pieces = pieces
        self.taken = 0

    async def stream(self):
        for piece in self.pieces:
            self.taken += 1
            yield piece


def test_a_body_is_counted_while_it_comes() -> None:
    assert asyncio.run(read_body(Request(b"ab", b"cd"), most=4)) == b"abcd"
    longer = Request(b"ab", b"cd", b"e")
    with pytest.raises(RefusedError, match="larger than 4 bytes") as refused:
        asyncio.run(read_body(longer, most=4))
    assert (refused.value.status, longer.taken) == (413, 3)
    endless = Request(*[b"ab"] * 1000)
    with pytest.raises(RefusedError):
        asyncio.run(read_body(endless, most=4))
    assert endless.taken == 9  # four times what is allowed, and the piece that is beyond


def entry(number, group, hit):
    return Entry(
        number, 60.0 * number, group, worth(hit) if hit is not None else SubmissionScore({}, {})
    )


ENTRIES = [
    entry(1, "b", 0.25),
    entry(2, NASTY, 0.5),
    entry(3, "b", 0.75),
    entry(4, "b", 0.5),
    entry(5, "a", 0.75),
    entry(6, "none", None),
]
FACTS = Facts("zoo <b>", 3, 5, 10, "hit_at_1", "2026-12-24 18:00+00:00", False, True)


def test_best_and_last_of_each_group() -> None:
    rows = standings(ENTRIES, metric="hit_at_1", shown=True)
    told = [
        (row.place, row.group, row.submissions, row.best.number, row.last.number) for row in rows
    ]
    # a and b share the first place; b was there earlier.
    assert told == [(1, "b", 3, 3, 4), (1, "a", 1, 5, 5), (3, NASTY, 1, 2, 2), (4, "none", 1, 6, 6)]


def test_the_page_escapes_and_loads_nothing() -> None:
    page = as_page(standings(ENTRIES, metric="hit_at_1", shown=True), FACTS)
    assert NASTY not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "zoo &lt;b&gt;" in page
    assert "0.375–0.875" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_scores_that_are_not_shown_are_in_no_answer() -> None:
    from dataclasses import replace

    hidden = replace(FACTS, shown=False)
    rows = standings(ENTRIES, metric="hit_at_1", shown=False)
    assert [row.group for row in rows] == [NASTY, "a", "b", "none"]
    page, data = as_page(rows, hidden), str(as_data(rows, hidden))
    for told in (page.partition("</style>")[2], data):
        assert "0.75" not in told
        assert "0.5" not in told
        assert "place" not in told
    assert "Scores are not shown before the deadline" in page
