"""Fusion of rankings: examples by hand, a reference implementation, and comparison with ranx."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.ensemble import fusion as fusion_module
from outliers_bench.ensemble.fusion import contributions, select_top
from outliers_bench.ensemble.options import Fusion
from outliers_bench.types import Exclusion, Ranking, join_blocks

FUSIONS = [fusion for fusion in Fusion if fusion is not Fusion.concat]


def ranking(indices, scores):
    return Ranking(np.array(indices), np.array(scores, dtype=np.float32))


def fuse(members, weights, *, order, **options):
    exclusion = Exclusion.nothing(len(members[0].indices), len(order))
    defaults = {"rrf_k": 60.0, "slopes": [1.0] * len(members), "exclusion": exclusion}
    depth = options.pop("depth")
    sums = fusion_module.fuse_blocks(members, weights, n=len(order), **(defaults | options))
    blocks = ((rows, Ranking(*select_top(total, depth, order))) for rows, total in sums)
    return join_blocks(blocks, len(members[0].indices), depth)


def random_ranking(n_query, n, depth, seed):
    scores = np.random.default_rng(seed).normal(size=(n_query, n)).astype(np.float32)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return Ranking(order, np.take_along_axis(scores, order, axis=1))


@pytest.mark.parametrize(
    ("fusion", "expected"),
    [
        # Hits 2, 0, 3 with scores 5, 3, 1 (mean 3, deviation sqrt(8/3)) among items 0..4.
        (Fusion.zscore, [0, -1.2247449, 1.2247449, -1.2247449, -1.2247449]),
        (Fusion.minmax, [0.5, 0, 1, 0, 0]),
        (Fusion.calibrated, [1.5, 0.5, 2.5, 0.5, 0.5]),
        (Fusion.rrf, [1 / 62, 0, 1 / 61, 1 / 63, 0]),
        (Fusion.borda, [4, 1.5, 5, 3, 1.5]),
    ],
)
def test_by_hand(fusion, expected):
    result = contributions(ranking([[2, 0, 3]], [[5, 3, 1]]), fusion, 5, slope=0.5)
    assert np.allclose(result, [expected])


def test_the_example_of_reciprocal_rank_fusion():
    """Item 1 is second twice, the others are first once and last once."""
    members = [ranking([[0, 1, 2]], [[9, 8, 1]]), ranking([[2, 1, 0]], [[9, 8, 1]])]
    fused = fuse(members, [0.5, 0.5], fusion=Fusion.rrf, depth=3, order=np.arange(3), rrf_k=0)
    assert np.allclose(fused.scores, [[2 / 3, 2 / 3, 0.5]])
    assert fused.indices.tolist() == [[0, 2, 1]]
    fused = fuse(members, [0.5, 0.5], fusion=Fusion.borda, depth=3, order=np.array([1, 2, 0]))
    assert fused.indices.tolist() == [[1, 2, 0]], "all have two points, so ties are broken by order"


def test_contributions_of_equal_scores_are_zero():
    flat = ranking([[0, 1]], [[3, 3]])
    for fusion in FUSIONS:
        assert not contributions(flat, fusion, 4).any()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_a_member_without_information_does_not_change_a_ranking(fusion):
    good = random_ranking(50, 200, 200, 0)
    blank = Ranking(np.tile(np.arange(200), (50, 1)), np.zeros((50, 200), dtype=np.float32))
    fused = fuse([good, blank], [0.5, 0.5], fusion=fusion, depth=200, order=np.arange(200))
    assert np.array_equal(fused.indices, good.indices)


def test_equal_scores_share_their_ranks():
    tied = ranking([[3, 1, 0, 2]], [[9, 5, 5, 1]])
    assert np.allclose(contributions(tied, Fusion.borda, 4), [[2.5, 2.5, 1, 4]])
    assert np.allclose(contributions(tied, Fusion.rrf, 4, rrf_k=0), [[0.4, 0.4, 0.25, 1]])


@pytest.mark.parametrize("fusion", FUSIONS)
@settings(max_examples=25, deadline=None)
@given(st.integers(1, 4), st.integers(2, 12), st.integers(0, 10**6))
def test_against_a_loop_over_items(fusion, n_query, n, seed):
    rng = np.random.default_rng(seed)
    # The first gallery item is never excluded, so that something is left to rank.
    keys = rng.integers(1, 5, n_query), np.array([0, *rng.integers(0, 5, n - 1)])
    exclusion = Exclusion(keys[0][None], keys[1][None])
    excluded = exclusion.mask(slice(None), np.arange(n)[None])
    max_depth = n - excluded.sum(axis=1).min()
    members, weights, slopes = [], rng.random(3).tolist(), rng.random(3).tolist()
    for member in range(3):
        scores = rng.integers(0, 5, (n_query, n)).astype(np.float32)
        rows = []
        for query in range(n_query):
            items = [item for item in rng.permutation(n) if not excluded[query, item]]
            ranked = sorted(items, key=lambda item: -scores[query, item])
            rows.append(ranked[: 1 + member * (max_depth - 1) // 2])
        depth = max(map(len, rows))
        indices = np.array([row + [-1] * (depth - len(row)) for row in rows])
        of_hits = np.where(indices < 0, -np.inf, np.take_along_axis(scores, indices, axis=1))
        members.append(Ranking(indices, of_hits.astype(np.float32)))
    order = rng.permutation(n)
    got = fuse(
        members,
        weights,
        fusion=fusion,
        depth=max_depth,
        order=order,
        slopes=slopes,
        exclusion=exclusion,
    )
    position = {int(item): at for at, item in enumerate(order)}
    for query in range(n_query):
        total = {}
        rankable = np.flatnonzero(~excluded[query]).tolist()
        for item in rankable:
            total[item] = sum(
                weight * reference_contribution(member, query, item, fusion, len(rankable), slope)
                for member, weight, slope in zip(members, weights, slopes, strict=True)
            )
        expected = sorted(total, key=lambda item: (-round(total[item], 9), position[item]))
        items = [item for item in got.indices[query].tolist() if item >= 0]
        assert len(items) == len(rankable)
        assert np.allclose([total[i] for i in items], [total[i] for i in expected[:max_depth]])
        assert np.allclose(got.scores[query, : len(items)], [total[i] for i in items], atol=1e-5)


def reference_contribution(member, query, item, fusion, n, slope):
    hits = [hit for hit in member.indices[query].tolist() if hit >= 0]
    scores = member.scores[query, : len(hits)].astype(float).tolist()
    depth, low, high = len(hits), scores[-1], scores[0]
    score = scores[hits.index(item)] if item in hits else low
    if high == low and depth > 1:
        return 0
    ranks = [at + 1 for at in range(depth) if scores[at] == score]
    rank = sum(ranks) / len(ranks)
    if fusion is Fusion.rrf:
        return 1 / (60 + rank) if item in hits else 0
    if fusion is Fusion.borda:
        points = [n - rank for rank in range(depth, n)]
        return n + 1 - rank if item in hits else sum(points) / len(points)
    if fusion is Fusion.calibrated:
        return slope * score
    if high == low:
        return 0
    if fusion is Fusion.minmax:
        return (score - low) / (high - low)
    return (score - np.mean(scores)) / np.std(scores)


def test_results_do_not_depend_on_the_block_size(monkeypatch):
    members = [random_ranking(30, 40, 15, seed) for seed in range(2)]
    options = {"fusion": Fusion.zscore, "depth": 12, "order": np.arange(40)}
    expected = fuse(members, [1, 2], **options)
    monkeypatch.setattr("outliers_bench.ensemble.fusion._BLOCK_ITEMS", 1)
    blocked = fuse(members, [1, 2], **options)
    assert np.array_equal(expected.indices, blocked.indices)
    assert np.array_equal(expected.scores, blocked.scores)


def test_select_top_breaks_ties_by_order_also_at_the_last_rank():
    order = np.array([3, 1, 4, 0, 2])
    indices, scores = select_top(np.array([[1.0, 1, 1, 1, 1], [0, 5, 0, 0, 7]]), 3, order)
    assert indices.tolist() == [[3, 1, 4], [4, 1, 3]]
    assert scores.tolist() == [[1, 1, 1], [7, 5, 0]]


@pytest.mark.extra("check")
@pytest.mark.slow
@pytest.mark.parametrize(
    ("fusion", "norm", "method"),
    [
        (Fusion.zscore, "zmuv", "sum"),
        (Fusion.minmax, "min-max", "sum"),
        (Fusion.rrf, None, "rrf"),
        (Fusion.borda, None, "bordafuse"),
    ],
)
def test_against_ranx(fusion, norm, method):
    import ranx

    n_query, n = 20, 30
    members = [random_ranking(n_query, n, n, seed) for seed in range(3)]
    runs = [
        ranx.Run(
            {
                f"q{q}": {
                    f"d{item}": float(score)
                    for item, score in zip(member.indices[q], member.scores[q], strict=True)
                }
                for q in range(n_query)
            }
        )
        for member in members
    ]
    theirs = ranx.fuse(runs, norm=norm, method=method).to_dict()
    ours = fuse(members, [1, 1, 1], fusion=fusion, depth=n, order=np.arange(n))
    for q in range(n_query):
        scores = np.array([theirs[f"q{q}"][f"d{item}"] for item in ours.indices[q]])
        assert (np.diff(scores) <= 1e-9).all(), "the same order, except for ties"
        if fusion is not Fusion.borda:
            scale = 1 if fusion is Fusion.rrf else scores[0] / ours.scores[q][0]
            assert np.allclose(scores, ours.scores[q] * scale, atol=1e-4)
