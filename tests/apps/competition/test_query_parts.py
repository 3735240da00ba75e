"""Public and private queries: what is shown, what decides, and what can be recovered."""

import asyncio
import json
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.apps.competition.board import leaderboard_data
from outliers_bench.apps.competition.check import Submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.apps.competition.options import Competition
from outliers_bench.apps.competition.score import score_parts, score_submission, split_queries
from outliers_bench.apps.competition.store import Entry, SubmissionStore
from outliers_bench.errors import BenchError
from tests.toys import toy_split

N_QUERIES = 40


@pytest.fixture(scope="module")
def dataset():
    labels = np.arange(N_QUERIES) % 4
    split = toy_split(labels, np.arange(8) % 4)
    queries = {f"q{row}": row for row in range(N_QUERIES)}
    return CompetitionData(split, queries, {f"g{row}": row for row in range(8)}, (), ())


def submission(is_right):
    """Rank a relevant image first for the queries in `is_right`."""
    return Submission(
        "a", {row: ((row + (not right)) % 4,) for row, right in enumerate(is_right.tolist())}
    )


def test_the_parts_are_disjoint_complete_and_reproducible(dataset) -> None:
    parts = split_queries(dataset, 0.3)
    assert len(parts["public"]) == 12
    assert sorted([*parts["public"], *parts["private"]]) == list(range(N_QUERIES))
    again = split_queries(dataset, 0.3)
    assert all((parts[part] == again[part]).all() for part in parts)
    assert split_queries(dataset, 1) == {}
    with pytest.raises(BenchError, match=r"public_share=0\.001: one part .* 40 in all"):
        split_queries(dataset, 0.001)


def test_the_score_shown_depends_on_public_queries_only(dataset) -> None:
    parts = split_queries(dataset, 0.3)
    rng = np.random.default_rng(0)
    is_right = rng.random(N_QUERIES) < 0.5
    private = parts["private"]
    before = score_parts(submission(is_right), dataset, parts, k=[1])
    public = np.setdiff1d(np.arange(N_QUERIES), private)
    assert before["public"].metrics["hit_at_1"] == pytest.approx(is_right[public].mean())
    assert before["private"].metrics["hit_at_1"] == pytest.approx(is_right[private].mean())
    is_right[private] = ~is_right[private]
    after = score_parts(submission(is_right), dataset, parts, k=[1])
    assert after["public"] == before["public"]
    assert after["private"] != before["private"]


def test_the_private_part_decides_after_the_deadline(dataset, tmp_path) -> None:
    rules = Competition(public_share=0.5, k=[1], deadline="2026-12-24T18:00+00:00")
    store = SubmissionStore(tmp_path / "c.db", dataset.split.fingerprint, 0.5)
    parts = split_queries(dataset, 0.5)
    for i, part in enumerate(parts):
        right = np.isin(np.arange(N_QUERIES), parts[part])
        given = submission(right)
        store.add(
            f"{part} right",
            score_submission(given, dataset, k=[1]),
            json.dumps(right.tolist()).encode(),
            parts=score_parts(given, dataset, parts, k=[1]),
            address=str(i),
            now=float(i),
            per_hour=9,
            per_day=9,
        )
    for now, part in ((0.0, "public"), (4e9, "private")):
        board = leaderboard_data(store.entries(), dataset, rules, now)
        best = board["groups"][0]
        assert (board["scored_part"], best["group"]) == (part, f"{part} right")
        assert best["best"]["scores"]["hit_at_1"] == 1


def test_the_parts_do_not_depend_on_the_order_of_the_queries(dataset) -> None:
    reverse = np.arange(N_QUERIES)[::-1]
    split = replace(dataset.split, query=dataset.split.query.take(reverse))
    assert split.fingerprint == dataset.split.fingerprint
    digests = [
        {each.split.query.digests[row] for row in split_queries(each, 0.3)["public"]}
        for each in (dataset, replace(dataset, split=split))
    ]
    assert digests[0] == digests[1]


def test_servers_with_other_shares_keep_their_scores_in_one_store(dataset, tmp_path) -> None:
    def open_store(share):
        parts = split_queries(dataset, share)

        def score(body):
            given = submission(np.array(json.loads(body)))
            return score_parts(given, dataset, parts, k=[1])

        path, split = tmp_path / "c.db", dataset.split.fingerprint
        return SubmissionStore(path, split, share, score), score

    rng = np.random.default_rng(0)
    stores = [open_store(share) for share in (0.5, 0.25)]
    expected = {share: [] for share in range(2)}
    for i in range(4):  # the servers accept them in turn
        right = rng.random(N_QUERIES) < 0.5
        body = json.dumps(right.tolist()).encode()
        store, score = stores[i % 2]
        all_queries = score_submission(submission(right), dataset, k=[1])
        limits = {"per_hour": 9, "per_day": 9}
        parts = score(body)
        store.add("a", all_queries, body, parts=parts, address="", now=float(i), **limits)
        for which, (each, score_of) in enumerate(stores):
            expected[which].append(score_of(body))
            assert [entry.parts for entry in each.entries()] == expected[which]
    assert [store.add_parts() for store, _ in stores] == [0, 0]


def test_the_final_score_is_not_the_best_of_many_by_chance(dataset) -> None:
    """A coin decides on every query of 60 submissions: the final score is no maximum."""
    parts, rng = split_queries(dataset, 0.5), np.random.default_rng(0)
    entries = []
    for i in range(60):
        given = submission(rng.random(N_QUERIES) < 0.5)
        score = score_submission(given, dataset, k=[1])
        entries.append(Entry(i, float(i), "a", score, score_parts(given, dataset, parts, k=[1])))
    rates = {part: [e.parts[part].metrics["hit_at_1"] for e in entries] for part in parts}
    rules = Competition(k=[1])
    board = leaderboard_data(entries, dataset, rules, 0.0, is_final=True)
    best = board["groups"][0]["best"]
    assert best["id"] == int(np.argmax(rates["public"]))
    assert best["scores"]["hit_at_1"] == rates["private"][best["id"]] < max(rates["private"])


@pytest.mark.extra("competition")
def test_the_response_to_a_submission_is_of_public_queries(dataset, tmp_path) -> None:
    from outliers_bench.apps.competition.app import create_app

    parts = split_queries(dataset, 0.5)
    right = np.isin(np.arange(N_QUERIES), parts["public"])
    images = {
        f"q{row}": [f"g{position}" for position in ranking]
        for row, ranking in submission(right).rankings.items()
    }
    body = json.dumps({"groupname": "a", "images": images}).encode()
    store = SubmissionStore(tmp_path / "c.db", dataset.split.fingerprint, 0.5)
    app = create_app(dataset, store, Competition(k=[1]), max_bytes=10**6)
    sent = []

    async def receive():
        return {"type": "http.request", "body": body}

    async def send(message):
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/retrieval/", "headers": []}
    asyncio.run(app({**scope, "query_string": b"", "client": ("127.0.0.1", 1)}, receive, send))
    content = json.loads(sent[1]["body"])
    assert (content["queries"], content["accuracy"], content["results"]["hit_at_1"]) == (
        "public",
        1,
        1,
    )


@pytest.mark.slow
@pytest.mark.parametrize("public_share", [1.0, 0.5])
def test_labels_that_180_submissions_recover(public_share) -> None:
    """Swap the two best images of one query per submission, and keep what raises the score."""
    n_queries, n_sent, rng = 542, 180, np.random.default_rng(0)
    split = toy_split(np.arange(n_queries) % 36, np.arange(36 * 46) % 36, classes=36)
    dataset = CompetitionData(split, {str(i): i for i in range(n_queries)}, {}, (), ())
    parts = split_queries(dataset, public_share)
    # The group is unsure about 180 queries: the first is right for half of them, else the second.
    unsure = rng.permutation(n_queries)[:n_sent]
    is_right = np.ones(n_queries, dtype=bool)
    is_right[unsure] = rng.random(n_sent) < 0.5

    def measure(is_right, part):
        given = Submission(
            "a",
            {row: ((row + (not right)) % 36,) for row, right in enumerate(is_right.tolist())},
        )
        rows = parts.get(part)
        score = score_submission(given, dataset, k=[1], rows=rows)
        return score.metrics["hit_at_1"]

    shown = "public" if parts else "all"
    before = {part: measure(is_right, part) for part in (*parts, "all")}
    best = before[shown]
    for query in unsure:
        tried = is_right.copy()
        tried[query] = ~tried[query]
        if (score := measure(tried, shown)) > best:
            is_right, best = tried, score
    after = {part: measure(is_right, part) for part in (*parts, "all")}
    print(f"\npublic_share={public_share}: {before} -> {after}")
    if parts:
        assert after["public"] == 1
        assert after["private"] == before["private"]
    else:
        assert after["all"] == 1
