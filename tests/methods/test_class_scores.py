"""Ranking by class scores: compared with brute force, with ties, and without the query."""

from unittest.mock import patch

import numpy as np
import pytest
from hydra import compose, initialize_config_dir
from hypothesis import given, settings
from hypothesis import strategies as st

from outliers_bench.config.paths import resource_dir
from outliers_bench.config.schema import register, to_config
from outliers_bench.errors import BenchError
from outliers_bench.methods import class_scores
from outliers_bench.methods.class_scores import log_softmax
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import ITSELF, Embeddings, Split
from tests.toys import image_set, toy_split


@pytest.fixture(scope="module")
def config(tmp_path_factory):
    return composed(f"cache.dir={tmp_path_factory.mktemp('cache')}")


def composed(*overrides):
    register()
    chosen = ["model=cnn_scratch", "model.rank_by=class_scores", "k=[1]", *overrides]
    with initialize_config_dir(str(resource_dir("conf")), version_base="1.3"):
        return to_config(compose("config", chosen))


class StoredLogits:
    """Embedding source that returns logits by image name."""

    def __init__(self, logits):
        self.logits = logits

    def load(self, images):
        logits = np.array([self.logits[name] for name in images.names], np.float32)
        return Embeddings(images, logits)


def ranking_of(config, split, logits, depth, meter=None):
    method = config.method(meter or Meter())
    method.logits = StoredLogits(logits)
    return method.index(split.gallery).query(split.query, depth, split.exclusion)


def brute_force(split, logits, depth, seed):
    tie_rank = tie_order(split.gallery.digests, seed).tolist().index
    rows, scores = [], []
    for query_row, query in enumerate(split.query.names):
        predicted = int(np.argmax(log_softmax(np.array([logits[query]], np.float32))[0]))
        ranked = []
        for row, name in enumerate(split.gallery.names):
            if split.exclusion.mask(np.array([query_row]), np.array([[row]])):
                continue
            log_probability = log_softmax(np.array([logits[name]], np.float32))[0, predicted]
            ranked.append((-log_probability, tie_rank(row), row))
        ranked.sort()
        rows.append([row for _, _, row in ranked[:depth]])
        scores.append([-score for score, _, _ in ranked[:depth]])
    return np.array(rows), np.array(scores, np.float32)


# Few values, so that there are many ties.
levels = st.sampled_from([-2.0, 0.0, 0.5, 3.0])


@settings(max_examples=60, deadline=None)
@given(st.data(), st.integers(1, 6), st.integers(2, 9), st.booleans())
def test_equals_brute_force(config, data, queries, gallery, leave_one_out):
    split = toy_split([0] * queries, [0] * gallery)
    if leave_one_out:
        split = Split("toy", split.train, split.gallery, split.gallery, excluded=ITSELF)
    names = {*split.query.names, *split.gallery.names}
    logits = {name: [data.draw(levels) for _ in range(3)] for name in sorted(names)}
    depth = data.draw(st.integers(1, gallery - int(leave_one_out)))
    meter = Meter()
    with patch.object(class_scores, "BLOCK_ITEMS", data.draw(st.sampled_from([1, 10**6]))):
        ranking = ranking_of(config, split, logits, depth, meter)
    indices, scores = brute_force(split, logits, depth, config.seed)
    assert np.array_equal(ranking.indices, indices)
    assert ranking.scores == pytest.approx(scores, abs=1e-6)
    assert meter.dimensions == 3


def test_by_hand(config):
    """Queries with the same predicted class get the same ranking."""
    split = toy_split([0, 0, 0], [0, 0, 0])
    logits = {
        "query-0": [5, 0, 0],
        "query-1": [1, 0.9, 0],
        "query-2": [0, 0, 2],
        "gallery-0": [0, 0, 9],
        "gallery-1": [3, 3, 3],
        "gallery-2": [4, 0, 0],
    }
    ranking = ranking_of(config, split, logits, 3)
    assert ranking.indices.tolist() == [[2, 1, 0], [2, 1, 0], [0, 1, 2]]
    # e**4 / (e**4 + 2) and 1/3
    assert np.exp(ranking.scores[0, :2]) == pytest.approx([0.964663, 1 / 3], abs=1e-5)


def test_ranks_by_probability_not_by_logit(config):
    """A larger logit counts only relative to those of the other classes."""
    split = toy_split([0], [0, 0])
    logits = {"query-0": [1, 0, 0], "gallery-0": [8, 9, 0], "gallery-1": [2, 0, 0]}
    assert ranking_of(config, split, logits, 2).indices.tolist() == [[1, 0]]


def test_ranks_probabilities_that_round_to_one(config):
    """Both probabilities are 1 in float32; their logarithms differ."""
    split = toy_split([0], [0, 0])
    logits = {"query-0": [1, 0, 0], "gallery-0": [17, 0, 0], "gallery-1": [18, 0, 0]}
    for gallery in ((17, 18), (18, 17)):
        logits |= {f"gallery-{i}": [value, 0, 0] for i, value in enumerate(gallery)}
        first = ranking_of(config, split, logits, 2).indices[0, 0]
        assert gallery[first] == 18


def test_ties_are_ordered_by_content_and_seed(config, tmp_path):
    gallery = 12
    split = toy_split([0], [0] * gallery)
    logits = {name: [1.0, 0.0] for name in (*split.query.names, *split.gallery.names)}
    rows = np.random.default_rng(0).permutation(gallery)
    shuffled = Split("toy", split.train, split.query, split.gallery.take(rows))
    one = ranking_of(config, split, logits, gallery).indices[0]
    other = ranking_of(config, shuffled, logits, gallery).indices[0]
    assert np.array_equal(rows[other], one)
    seeded = composed(f"cache.dir={tmp_path}", "seed=1")
    assert not np.array_equal(ranking_of(seeded, split, logits, gallery).indices[0], one)


def test_log_softmax_of_large_numbers():
    result = log_softmax(np.array([[1000.0, 1000.0], [-1000.0, 0.0]], np.float32))
    assert result == pytest.approx(np.array([[-np.log(2), -np.log(2)], [-1000.0, 0.0]]))
    assert result.dtype == np.float32


def labeled_split():
    everything = image_set("abcdef", [0, 0, 1, 1, 0, 1], reader=None)
    return Split("toy", everything.take([0, 1, 2, 3]), everything.take([4]), everything.take([5]))


def test_reranking_is_rejected():
    with pytest.raises(BenchError, match=r"rerank=alpha_qe .*model\.rank_by=class_scores"):
        composed("rerank=alpha_qe")


def test_tta_is_rejected(tmp_path):
    augmented = composed(f"cache.dir={tmp_path}", "model.tta.flip=true")
    with pytest.raises(BenchError, match=r"model\.rank_by=class_scores .*model\.tta") as caught:
        augmented.method(Meter()).check(labeled_split())
    assert "\n" not in str(caught.value)


def test_split_without_train_is_rejected(config):
    images = labeled_split().train
    split = Split("toy", images.take([]), images, images, excluded=ITSELF)
    with pytest.raises(BenchError, match="leave_one_out"):
        config.method(Meter()).check(split)
