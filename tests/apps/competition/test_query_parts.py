"""Public and private queries: what is shown, what decides, and what can be recovered."""

import json

import numpy as np
import pytest

from outliers_bench.apps.competition.board import leaderboard_data
from outliers_bench.apps.competition.check import Submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.apps.competition.options import Competition
from outliers_bench.apps.competition.score import score_parts, score_submission, split_queries
from outliers_bench.apps.competition.store import SubmissionStore
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
    with pytest.raises(BenchError, match=r"public_share=0\.001: of 40 queries"):
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

    # Another share, as after a restart with another option: scored again from the bodies.
    other = SubmissionStore(tmp_path / "c.db", dataset.split.fingerprint, 0.25)
    assert other.entries()[0].parts == {}
    changed = split_queries(dataset, 0.25)
    other.add_parts(
        lambda body: score_parts(submission(np.array(json.loads(body))), dataset, changed, k=[1])
    )
    expected = np.isin(changed["public"], parts["public"]).mean()
    assert other.entries()[0].parts["public"].metrics["hit_at_1"] == pytest.approx(expected)


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
