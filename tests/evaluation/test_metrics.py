"""Metrics: examples computed by hand, reference implementations and properties."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from outliers_bench.errors import BenchError
from outliers_bench.evaluation import (
    average_precision,
    average_precision_at_k,
    average_precision_at_r,
    count_relevant,
    evaluate,
    hit_at_k,
    inverse_penalty,
    precision_at_k,
    r_precision,
    reciprocal_rank,
)
from outliers_bench.evaluation.evaluate import Evaluator
from outliers_bench.types import ITSELF, Ranking, Split, same
from tests.toys import image_set, toy_split

# By hand: relevance [1,0,1,0], 4 relevant images in the gallery.
HAND = np.array([[True, False, True, False]])
TWO, FOUR = np.array([2]), np.array([4])


def test_by_hand():
    assert hit_at_k(HAND, 1) == [1]
    assert hit_at_k(~HAND, 1) == [0]
    assert hit_at_k(~HAND, 2) == [1]
    assert precision_at_k(HAND, 3) == [2 / 3]
    assert r_precision(HAND, FOUR) == [2 / 4]
    assert average_precision_at_r(HAND, FOUR) == pytest.approx([(1 / 1 + 2 / 3) / 4])
    assert average_precision_at_r(HAND, np.array([2])) == [(1 / 1) / 2]
    assert reciprocal_rank(HAND) == [1]
    assert reciprocal_rank(~HAND) == [1 / 2]
    assert reciprocal_rank(np.zeros((1, 4), dtype=bool)) == [0]
    assert average_precision(HAND, TWO) == pytest.approx([(1 / 1 + 2 / 3) / 2])
    assert average_precision(HAND, FOUR) == pytest.approx([(1 / 1 + 2 / 3) / 4]), "two are missing"
    assert average_precision_at_k(HAND, FOUR, 3) == pytest.approx([(1 / 1 + 2 / 3) / 3])
    assert average_precision_at_k(HAND, TWO, 3) == pytest.approx([(1 / 1 + 2 / 3) / 2])
    assert inverse_penalty(HAND, TWO) == [2 / 3]
    assert inverse_penalty(HAND, FOUR) == [0], "two are missing"


def test_the_example_of_the_documentation():
    relevant, three = np.array([[True, False, True, False, False, True]]), np.array([3])
    assert average_precision(relevant, three) == pytest.approx([0.722], abs=5e-4)
    assert average_precision_at_r(relevant, three) == pytest.approx([0.556], abs=5e-4)
    assert average_precision_at_k(relevant, three, 2) == [0.5]
    assert r_precision(relevant, three) == pytest.approx([0.667], abs=5e-4)
    assert reciprocal_rank(relevant) == [1]
    assert inverse_penalty(relevant, three) == [0.5]


def test_fewer_gallery_images_than_k():
    assert hit_at_k(HAND, 10) == [1]
    assert precision_at_k(HAND, 10) == [2 / 10]


# --- references: the definitions as loops, one query at a time ----------------------------------


def reference_metrics(row: list[bool], total: int, k: int) -> dict[str, float]:
    first = next((rank for rank, hit in enumerate(row, start=1) if hit), None)
    precisions = {rank: sum(row[:rank]) / rank for rank, hit in enumerate(row, start=1) if hit}

    def up_to(last: int) -> float:
        return sum(value for rank, value in precisions.items() if rank <= last)

    return {
        "hit": float(any(row[:k])),
        "precision": sum(row[:k]) / k,
        "map": up_to(len(row)) / total,
        "map_at_k": up_to(k) / min(k, total),
        "map_at_r": up_to(total) / total,
        "minp": total / max(precisions) if len(precisions) == total else 0.0,
        "r_precision": sum(row[:total]) / total,
        "mrr": 0.0 if first is None else 1 / first,
    }


relevance = st.integers(1, 12).flatmap(
    lambda depth: st.tuples(
        arrays(bool, st.tuples(st.integers(1, 6), st.just(depth))), st.integers(1, depth)
    )
)


@given(relevance, st.integers(1, 15))
def test_against_the_references(case, k):
    relevant, total = case
    totals = np.full(len(relevant), total)
    got = {
        "hit": hit_at_k(relevant, k),
        "precision": precision_at_k(relevant, k),
        "map": average_precision(relevant, totals),
        "map_at_k": average_precision_at_k(relevant, totals, k),
        "map_at_r": average_precision_at_r(relevant, totals),
        "minp": inverse_penalty(relevant, totals),
        "r_precision": r_precision(relevant, totals),
        "mrr": reciprocal_rank(relevant),
    }
    for i, row in enumerate(relevant.tolist()):
        for name, value in reference_metrics(row, total, k).items():
            assert got[name][i] == pytest.approx(value), name


@given(relevance)
def test_properties(case):
    relevant, total = case
    totals = np.full(len(relevant), total)
    depth = relevant.shape[1]
    hits = np.array([hit_at_k(relevant, k) for k in range(1, depth + 1)])
    assert (np.diff(hits, axis=0) >= 0).all(), "the hit rate does not decrease with k"
    assert (average_precision_at_r(relevant, totals) <= r_precision(relevant, totals) + 1e-12).all()
    assert (reciprocal_rank(relevant) >= hits[0]).all()
    perfect = np.zeros_like(relevant)
    perfect[:, :total] = True
    for metric in (average_precision, average_precision_at_r, r_precision, inverse_penalty):
        assert metric(perfect, totals) == pytest.approx(1), metric
    for k in range(1, depth + 1):
        assert average_precision_at_k(perfect, totals, k) == pytest.approx(1)


# --- evaluate -----------------------------------------------------------------------------------


def test_evaluate_by_hand():
    split = toy_split(query=[0, 1, 2], gallery=[0, 1, 1, 0])
    ranking = Ranking(
        np.array([[1, 0, 3, 2], [1, 2, 0, 3], [0, 1, 2, 3]]),
        np.tile(np.array([4, 3, 2, 1], dtype=np.float32), (3, 1)),
    )
    result = evaluate(ranking, split, k=[1, 2])
    assert result.queries_without_relevant == 1, "class-2 is not in the gallery"
    assert result.scored.tolist() == [0, 1]
    assert result.metrics == {
        "hit_at_1": 0.5,
        "hit_at_2": 1.0,
        "precision_at_1": 0.5,
        "precision_at_2": 0.75,
        "map_at_1": 0.5,
        "map_at_2": pytest.approx((0.5 / 2 + 1) / 2),
        "map_at_r": pytest.approx((0.5 / 2 + 1) / 2),
        "map": pytest.approx(((1 / 2 + 2 / 3) / 2 + 1) / 2),
        "r_precision": 0.75,
        "mrr": 0.75,
        "minp": pytest.approx((2 / 3 + 1) / 2),
    }
    assert result.total.tolist() == [2, 2]
    assert result.available.tolist() == [4, 4]
    assert result.chance["hit_at_1"] == result.chance["precision_at_2"] == 0.5
    assert result.chance.keys() == result.balanced.keys() == result.metrics.keys()
    assert result.per_class["class-1"] == {
        "queries": 1,
        **dict.fromkeys(result.metrics, 1.0),
    }
    assert "class-2" not in result.per_class


def test_class_balanced_means_weight_classes_equally():
    split = toy_split(query=[0, 0, 0, 1], gallery=[0, 1, 2])
    first = np.array([[0, 1, 2], [1, 0, 2], [1, 2, 0], [1, 0, 2]])
    scores = np.tile(np.float32([3, 2, 1]), (4, 1))
    result = evaluate(Ranking(first, scores), split, k=[1])
    assert result.metrics["hit_at_1"] == 2 / 4
    assert result.balanced["hit_at_1"] == (1 / 3 + 1) / 2
    assert result.balanced["mrr"] == pytest.approx(((1 + 1 / 2 + 1 / 3) / 3 + 1) / 2)


def test_leave_one_out_does_not_count_the_query_itself():
    everything = image_set(["p", "q", "r"], [0, 0, 1])
    nothing = everything.take([])
    split = Split("loo", nothing, everything, everything, excluded=ITSELF)
    ranking = Ranking(np.array([[1, 2], [0, 2], [0, 1]]), np.array([[2, 1]] * 3, dtype=np.float32))
    result = evaluate(ranking, split, k=[1])
    assert result.metrics["map_at_r"] == 1.0
    assert result.queries_without_relevant == 1, "r is the only image of its class"


@settings(deadline=None, max_examples=25)
@given(st.integers(0, 10**6))
def test_excluded_images_are_not_counted_as_relevant(seed):
    """The score equals that of each query alone, in a gallery without the excluded images."""
    rng = np.random.default_rng(seed)
    split = toy_split(query=[0, *rng.integers(0, 3, 4)], gallery=[0, *rng.integers(0, 3, 11)])
    cameras = rng.integers(1, 4, 5), np.array([0, *rng.integers(0, 4, 11)])
    query, gallery = (
        replace(part, columns={"camera": values})
        for part, values in zip((split.query, split.gallery), cameras, strict=True)
    )
    split = replace(split, query=query, gallery=gallery, excluded=same("camera"))
    rows = [rng.permutation(np.flatnonzero(cameras[1] != camera)) for camera in cameras[0]]
    total = count_relevant(split)
    if not total.any():
        return
    indices, scores = np.full((5, 12), -1), np.full((5, 12), -np.inf, dtype=np.float32)
    for i, row in enumerate(rows):
        indices[i, : len(row)], scores[i, : len(row)] = row, -np.arange(len(row))
    result = evaluate(Ranking(indices, scores), split, k=[1, 3])
    for i, row in enumerate(rows):
        alone = replace(split, query=query.take([i]), gallery=gallery.take(np.sort(row)))
        assert count_relevant(alone)[0] == total[i]
        if total[i]:
            moved = np.searchsorted(np.sort(row), row)[None]
            expected = evaluate(Ranking(moved, scores[i : i + 1, : len(row)]), alone, k=[1, 3])
            at = result.scored.tolist().index(i)
            assert result.per_query.keys() == expected.metrics.keys()
            for name, values in result.per_query.items():
                assert values[at] == expected.metrics[name], name
            assert result.available[at] == len(row)


def test_a_ranking_with_excluded_images_is_refused():
    everything = image_set(["p", "q", "r"], [0, 0, 1])
    split = Split("loo", everything.take([]), everything, everything, excluded=ITSELF)
    ranking = Ranking(np.array([[1, 2], [0, 1], [0, 1]]), np.array([[2, 1]] * 3, dtype=np.float32))
    with pytest.raises(ValueError, match="excluded for the query"):
        evaluate(ranking, split, k=[1])


def test_no_query_with_a_match_is_an_error():
    split = toy_split(query=[0, 0], gallery=[1, 2])
    ranking = Ranking(np.array([[0, 1]] * 2), np.array([[2, 1]] * 2, dtype=np.float32))
    with pytest.raises(BenchError, match="share class names"):
        evaluate(ranking, split, k=[1])


@given(st.data())
def test_evaluate_does_not_depend_on_the_order_of_the_gallery(data):
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = int(rng.integers(3, 12))
    labels = [0, *rng.integers(0, 3, n - 1).tolist()]
    split = toy_split(query=[0, *rng.integers(0, 3, 4).tolist()], gallery=labels)
    scores = -np.sort(-rng.random((5, n)).astype(np.float32), axis=1)
    indices = np.array([rng.permutation(n) for _ in range(5)])
    order = rng.permutation(n)
    moved = np.empty(n, dtype=np.int64)
    moved[order] = np.arange(n)
    shuffled = toy_split(query=split.query.labels, gallery=[labels[i] for i in order])
    before = evaluate(Ranking(indices, scores), split, k=[1, 3])
    after = evaluate(Ranking(moved[indices], scores), shuffled, k=[1, 3])
    assert before.metrics == after.metrics


@settings(deadline=None)
@given(st.integers(0, 10**6))
def test_blocks_of_queries_have_the_same_scores_to_the_last_bit(seed):
    rng = np.random.default_rng(seed)
    n_query, n = int(rng.integers(1, 30)), int(rng.integers(12, 60))
    labels = [0, *rng.choice(4, n_query - 1, p=(0.6, 0.2, 0.1, 0.1))]
    split = toy_split(query=labels, gallery=[0, *rng.choice(3, n - 1, p=(0.8, 0.1, 0.1))])
    indices = np.array([rng.permutation(n) for _ in range(n_query)])
    scores = -np.sort(-rng.random((n_query, n)).astype(np.float32), axis=1)
    whole = evaluate(Ranking(indices, scores), split, k=[1, 3])
    evaluator = Evaluator(split, k=[1, 3])
    for rows in np.array_split(rng.permutation(n_query), rng.integers(1, n_query + 2)):
        evaluator.add(rows, Ranking(indices[rows], scores[rows]))
    in_blocks = evaluator.result()
    assert in_blocks.metrics == whole.metrics
    assert in_blocks.per_class == whole.per_class
    assert in_blocks.queries_without_relevant == whole.queries_without_relevant
    for name, values in whole.per_query.items():
        assert np.array_equal(in_blocks.per_query[name], values), name


def test_importable_without_heavy_libraries():
    code = (
        "import sys, outliers_bench.evaluation; "
        "bad = {'tensorflow', 'keras', 'hydra', 'mlflow', 'omegaconf', 'cv2', 'pandas'}; "
        "sys.exit(', '.join(bad & set(sys.modules)) or None)"
    )
    process = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr


def test_a_split_without_relevant_images_is_refused_with_the_names_of_classes():
    split = toy_split(query=[0, 4], gallery=[1, 1, 2, 3, 5])
    ranking = Ranking(np.tile(np.arange(5), (2, 1)), np.float32([[5, 4, 3, 2, 1]] * 2))
    with pytest.raises(BenchError) as error:
        evaluate(ranking, split, k=[1])
    assert str(error.value) == (
        "toy: no query has a gallery image of its class, so nothing could be scored; query and "
        "gallery must share class names (query: class-0, class-4; gallery: class-1, class-2, "
        "class-3, ...)"
    )
