"""Submissions on disk, limits, and the leaderboard."""

import asyncio
import multiprocessing
import sqlite3
from types import SimpleNamespace

import pytest

from outliers_bench.apps.competition.board import leaderboard_data, leaderboard_page
from outliers_bench.apps.competition.options import Competition
from outliers_bench.apps.competition.score import SubmissionScore
from outliers_bench.apps.competition.store import Entry, SubmissionStore
from outliers_bench.errors import BenchError
from outliers_bench.web.refusal import RefusedError
from outliers_bench.web.request_limits import RateLimiter, read_body
from tests.boards import NASTY


def make_score(hit_rate):
    interval = (hit_rate / 2, (1 + hit_rate) / 2)
    return SubmissionScore({"hit_at_1": hit_rate}, {"hit_at_1": interval})


def add(store, group, hit_rate, *, address=None, now=1000.0, per_hour=100, per_day=100):
    return store.add(
        group,
        make_score(hit_rate),
        b"{}",
        parts={},
        address=group if address is None else address,
        now=now,
        per_hour=per_hour,
        per_day=per_day,
    )


def test_submissions_are_read_back_by_another_store(tmp_path) -> None:
    first = SubmissionStore(tmp_path / "c.db", "one")
    assert first.entries() == []
    entries = [add(first, "a", 1 / 3), add(first, "b", 0.7, now=1001.5)]
    second = SubmissionStore(tmp_path / "c.db", "one")
    assert second.entries() == entries
    assert [entry.number for entry in entries] == [1, 2]
    other = SubmissionStore(tmp_path / "c.db", "two")
    assert (other.entries(), other.count_other_splits()) == ([], 2)


def test_a_path_that_is_not_a_database_is_refused(tmp_path) -> None:
    (tmp_path / "photo.jpg").write_bytes(b"\xff\xd8" * 1000)
    for path in (tmp_path / "photo.jpg", tmp_path, tmp_path / "nowhere" / "c.db"):
        with pytest.raises(BenchError, match=r"store=.*cannot be stored there"):
            SubmissionStore(path, "one")


def test_submissions_per_hour_and_group_are_limited(tmp_path) -> None:
    store = SubmissionStore(tmp_path / "c.db", "one")
    for now in (0.0, 1000.0):
        add(store, "a", 0.5, now=now, per_hour=2)
    add(store, "b", 0.5, now=1000.0, per_hour=2)
    with pytest.raises(RefusedError) as refused:
        add(store, "a", 0.5, now=3599.0, per_hour=2)
    assert (refused.value.status, refused.value.retry_after) == (429, 1.0)
    add(store, "a", 0.5, now=3601.0, per_hour=2)
    assert len(store.entries()) == 4


def test_submissions_per_day_are_limited_across_invented_names_and_restarts(tmp_path) -> None:
    for i in range(3):
        add(SubmissionStore(tmp_path / "c.db", "one"), f"name {i}", 0.5, address="A", per_day=3)
    store = SubmissionStore(tmp_path / "c.db", "one")
    for now in (1000.0, 1000.0 + 86399):
        with pytest.raises(RefusedError, match="your address has reached the limit of 3 subm"):
            add(store, "another name", 0.5, address="A", now=now, per_day=3)
    add(store, "another name", 0.5, address="B", per_day=3)
    add(store, "another name", 0.5, address="A", now=1000.0 + 86400, per_day=3)
    # A name that looks equal is the same group, from any address.
    with pytest.raises(RefusedError, match="limit of 1 submissions per day"):
        add(store, "NAME 0", 0.5, address="C", per_day=1)


def test_a_store_of_an_earlier_version_is_continued(tmp_path) -> None:
    store = SubmissionStore(tmp_path / "c.db", "one")
    entry = add(store, "a", 0.5)
    with sqlite3.connect(tmp_path / "c.db") as connection:
        connection.execute("ALTER TABLE submissions_1 DROP COLUMN address")
    store = SubmissionStore(tmp_path / "c.db", "one")
    assert store.entries() == [entry, add(store, "a", 0.7)][:1]
    assert len(store.entries()) == 2


def _submit_repeatedly(path, group):
    store = SubmissionStore(path, "one")
    for i in range(20):
        try:
            add(store, group, i / 20, now=5.0, per_hour=30)
        except RefusedError:
            return


def test_concurrent_writers_lose_nothing_and_obey_the_limit(tmp_path) -> None:
    SubmissionStore(tmp_path / "c.db", "one")
    context = multiprocessing.get_context("fork")
    groups = ("a", "a", "b")
    workers = [
        context.Process(target=_submit_repeatedly, args=(tmp_path / "c.db", group))
        for group in groups
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    stored = [entry.group for entry in SubmissionStore(tmp_path / "c.db", "one").entries()]
    assert (stored.count("a"), stored.count("b")) == (30, 20)


def test_an_uncommitted_transaction_has_no_effect(tmp_path) -> None:
    store = SubmissionStore(tmp_path / "c.db", "one")
    add(store, "a", 0.5)
    killed = sqlite3.connect(tmp_path / "c.db", isolation_level=None)
    killed.execute("BEGIN IMMEDIATE")
    killed.execute("UPDATE submissions_1 SET groupname = 'b'")
    killed.close()  # never committed
    assert [entry.group for entry in store.entries()] == ["a"]


def test_requests_per_minute_and_address_are_limited() -> None:
    limiter = RateLimiter(2)
    for now in (0.0, 30.0):
        limiter.admit("a", now)
    limiter.admit("b", 31.0)
    with pytest.raises(RefusedError) as refused:
        limiter.admit("a", 59.0)
    assert (refused.value.status, refused.value.retry_after) == (429, 1.0)
    limiter.admit("a", 60.0)
    with pytest.raises(RefusedError):
        limiter.admit("a", 61.0)


class Request:
    def __init__(self, *chunks):
        self.chunks = chunks
        self.n_read = 0
        self.headers = {}

    async def stream(self):
        for chunk in self.chunks:
            self.n_read += 1
            yield chunk


def test_the_size_of_a_body_is_limited_while_it_is_read() -> None:
    assert asyncio.run(read_body(Request(b"ab", b"cd"), max_bytes=4)) == b"abcd"
    longer = Request(b"ab", b"cd", b"e")
    with pytest.raises(RefusedError, match="larger than 4 bytes") as refused:
        asyncio.run(read_body(longer, max_bytes=4))
    assert (refused.value.status, longer.n_read) == (413, 3)
    endless = Request(*[b"ab"] * 1000)
    with pytest.raises(RefusedError):
        asyncio.run(read_body(endless, max_bytes=4))
    assert endless.n_read == 9  # four times the limit, and the first chunk beyond


def make_entry(number, group, hit_rate):
    score = SubmissionScore({}, {}) if hit_rate is None else make_score(hit_rate)
    return Entry(number, 60.0 * number, group, score)


ENTRIES = [
    make_entry(1, "b", 0.25),
    make_entry(2, NASTY, 0.5),
    make_entry(3, "b", 0.75),
    make_entry(4, "b", 0.5),
    make_entry(5, "a", 0.75),
    make_entry(6, "none", None),
]
DATASET = SimpleNamespace(
    split=SimpleNamespace(name="zoo <b>"),
    queries=dict.fromkeys("abc"),
    gallery=dict.fromkeys("abcde"),
)


def board(**rules):
    return leaderboard_data(ENTRIES, DATASET, Competition(**{"public_share": 1.0} | rules), now=0.0)


def test_best_and_last_of_each_group() -> None:
    rows = board()["groups"]
    found = [
        (row["rank"], row["group"], row["submissions"], row["best"]["id"], row["last"]["id"])
        for row in rows
    ]
    # a and b share rank 1; the submission of b is earlier.
    assert found == [
        (1, "b", 3, 3, 4),
        (1, "a", 1, 5, 5),
        (3, NASTY, 1, 2, 2),
        (4, "none", 1, 6, 6),
    ]


def test_names_that_look_equal_are_one_group() -> None:
    names = ("Outliers", "outliers", "\uff2f\uff35\uff34liers", "out\ufe0fliers")
    entries = [make_entry(i, name, i / 10) for i, name in enumerate(names)]
    data = leaderboard_data(entries, DATASET, Competition(public_share=1.0), now=0.0)
    assert [(row["group"], row["submissions"]) for row in data["groups"]] == [("Outliers", 4)]


def test_the_page_escapes_names_and_loads_nothing() -> None:
    page = leaderboard_page(board(deadline="2026-12-24T18:00+00:00"), is_closed=False)
    assert NASTY not in page
    assert "&lt;script&gt;alert(1)" in page
    assert "zoo &lt;b&gt;" in page
    assert "0.375–0.875" in page
    assert "<b>3</b> queries" in page
    assert "open until" in page
    assert "<script" not in page
    assert "src=" not in page
    assert "http" not in page.replace("http-equiv", "")


def test_hidden_scores_are_in_no_response() -> None:
    data = board(public=False, deadline="2026-12-24T18:00+00:00")
    assert [row["group"] for row in data["groups"]] == [NASTY, "a", "b", "none"]
    page = leaderboard_page(data, is_closed=False)
    for content in (page.partition("</style>")[2], str(data)):
        assert "0.75" not in content
        assert "0.5" not in content
        assert "'rank'" not in content
        assert ">rank<" not in content
    assert "Scores are not shown before the deadline" in page
