"""Tuning of weights and calibration on labels of train."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.ensemble.options import Ensemble, Fusion
from outliers_bench.ensemble.tuning import fit_slope, relevance, tune_weights
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import average_precision_at_r
from outliers_bench.types import Ranking
from tests.toys import image_set, toy_split


def labels(n, classes=4):
    return np.arange(n) % classes


def noisy_scores(relevant, noise, seed):
    return relevant + np.random.default_rng(seed).normal(scale=noise, size=relevant.shape)


def map_at_r(similarity, relevant):
    order = np.argsort(-similarity, axis=1, kind="stable")
    total = relevant.sum(axis=1)
    is_relevant = np.take_along_axis(relevant, order, axis=1)[:, : total.max()]
    return average_precision_at_r(is_relevant, total).mean()


RELEVANT = np.equal.outer(labels(40), labels(60))


def test_tuned_weights_are_at_least_as_good_as_every_member_and_equal_weights():
    members = [noisy_scores(RELEVANT, noise, seed) for seed, noise in enumerate((0.5, 0.9, 1.5))]
    weights, score = tune_weights(members, RELEVANT, np.arange(60))
    assert sum(weights) == pytest.approx(1)
    assert min(weights) >= 0
    assert score == pytest.approx(map_at_r(np.tensordot(weights, members, 1), RELEVANT))
    assert score >= max(map_at_r(member, RELEVANT) for member in members)
    assert score >= map_at_r(np.mean(members, axis=0), RELEVANT)
    assert weights[0] == max(weights)


def test_a_misleading_member_has_weight_0():
    weights, _ = tune_weights(
        [noisy_scores(RELEVANT, 0.3, 0), -5.0 * RELEVANT], RELEVANT, np.arange(60)
    )
    assert weights == [1, 0]


def test_queries_without_relevant_items_are_ignored():
    is_relevant = RELEVANT.copy()
    is_relevant[::2] = False
    weights, score = tune_weights(
        [noisy_scores(RELEVANT, 0.5, 0), noisy_scores(RELEVANT, 0.5, 1)], is_relevant, np.arange(60)
    )
    assert 0 < score <= 1
    assert sum(weights) == pytest.approx(1)


def test_fit_slope_recovers_the_log_odds_of_the_labels():
    rng = np.random.default_rng(0)
    scores = -np.sort(-rng.normal(scale=0.2, size=(200, 100)).astype(np.float32), axis=1)
    is_relevant = rng.random(scores.shape) < 1 / (1 + np.exp(-8 * scores))
    indices = np.tile(np.arange(100), (200, 1))
    assert fit_slope(Ranking(indices, scores), is_relevant) == pytest.approx(8, rel=0.05)
    assert fit_slope(Ranking(indices, scores), ~is_relevant) == 0, "misleading scores are ignored"
    assert fit_slope(Ranking(indices, np.zeros_like(scores)), is_relevant) == 0
    assert fit_slope(Ranking(indices, scores), np.ones_like(is_relevant)) == 0


def test_relevance_is_equality_of_labels():
    assert relevance(toy_split([0, 1], [1, 0, 0])).tolist() == [[0, 1, 1], [1, 0, 0]]


def test_the_validation_split_is_a_disjoint_part_of_train():
    train = image_set([f"t{i}" for i in range(100)], labels(100, 3))
    split = Ensemble(tune_images=30).validation_split(train, "toy")
    held_out = set(split.query.digests) | set(split.gallery.digests)
    assert 24 <= len(held_out) <= 36
    assert not held_out & set(split.train.digests)
    assert held_out | set(split.train.digests) == set(train.digests)
    half = Ensemble(tune_images=1000).validation_split(train, "toy")
    assert 45 <= len(half.train) <= 55, "never more than half"


@pytest.mark.parametrize("each", [2, 3, 5])
def test_many_small_classes_are_not_all_held_out(each):
    train = image_set([f"t{i}" for i in range(400 * each)], labels(400 * each, 400), range(400))
    split = Ensemble(tune_images=100).validation_split(train, "toy")
    assert len(split.query) + len(split.gallery) <= 100
    assert len(split.train) == 400 * each - len(split.query) - len(split.gallery)
    assert set(split.query.labels.tolist()) == set(split.gallery.labels.tolist())


def test_a_train_part_that_is_too_small_is_rejected():
    train = image_set([f"t{i}" for i in range(4)], labels(4, 2))
    split = toy_split([0, 1], [0, 1])
    split = replace(split, train=replace(train, reader=split.gallery.reader))
    with pytest.raises(BenchError, match=r"member_weights=tuned: .*too few images.*equal"):
        Ensemble(member_weights="tuned").check_split(split)


def test_missing_labels_are_an_error():
    split = toy_split([0, 1], [0, 1])
    for options in ({"member_weights": "tuned"}, {"fusion": Fusion.calibrated}):
        with pytest.raises(BenchError, match="labels of a train part, and toy has none"):
            Ensemble(**options).check_split(split)
    Ensemble().check_split(split)
