"""A gallery in which one class has most of the photos: scored in blocks, in bounded memory."""

import tracemalloc

import numpy as np
import pytest

import outliers_bench as ob
from outliers_bench import benchmark
from outliers_bench.ensemble import fusion
from outliers_bench.methods import class_scores, keypoints
from outliers_bench.retrieval import search
from outliers_bench.retrieval.rerank import shortlist
from outliers_bench.retrieval.search import tie_order

BLOCKS = (search, shortlist, class_scores, keypoints)


def empty_frames(n, most, *, seed=0, d=16):
    """Vectors of small integers, whose products are exact and often equal, and their labels."""
    rng = np.random.default_rng(seed)
    labels = np.array([0] * most + [1 + i % 20 for i in range(n - most)])
    centers = rng.integers(-2, 3, (21, d))
    vectors = centers[labels] + rng.integers(-3, 4, (n, d))
    order = rng.permutation(n)
    return vectors[order].astype(np.float32), labels[order]


def plain_scores(result, similarity):
    """Mean average precision at R and others, by the definitions, one query at a time."""
    split = result.split
    labels, order = split.gallery.labels, tie_order(split.gallery.digests, 0)
    sums = dict.fromkeys(("hit_at_1", "map_at_r", "r_precision", "mrr"), 0.0)
    scored = 0
    for query in range(len(labels)):
        ranked = [item for item in order if item != query]
        ranked.sort(key=lambda item: -similarity[query, item])  # stable
        relevant = [labels[item] == labels[query] for item in ranked]
        total = sum(relevant)
        if not total:
            continue
        scored += 1
        hits = np.cumsum(relevant)
        sums["hit_at_1"] += relevant[0]
        sums["r_precision"] += hits[total - 1] / total
        precisions = [hits[i] / (i + 1) for i in range(total) if relevant[i]]
        sums["map_at_r"] += sum(precisions) / total
        sums["mrr"] += 1 / (relevant.index(True) + 1)
    return {name: value / scored for name, value in sums.items()}


@pytest.mark.parametrize(("index", "items"), [("exact", None), ("exact", 1), ("kd_tree", 1)])
def test_scores_equal_the_definitions(items, index, monkeypatch, tmp_path):
    vectors, labels = empty_frames(200, 140)
    if items is not None:
        monkeypatch.setattr(search, "BLOCK_ITEMS", items)
    metric = "euclidean" if index == "kd_tree" else "inner_product"
    result = run(vectors, labels, tmp_path, index=index, metric=metric)
    products = vectors.astype(np.float64) @ vectors.T
    squares = np.diag(products)
    distances = squares[:, None] + squares - 2 * products
    similarity = products if index == "exact" else -distances
    for name, value in plain_scores(result, similarity).items():
        assert result.metrics[name] == pytest.approx(value, abs=1e-12), name


def run(vectors, labels, cache, **options):
    more = {"cache.dir": str(cache), **options.pop("options", {})}
    return ob.run(
        vectors, labels=labels, protocol="leave_one_out", k=[1, 5, 10], options=more, **options
    )


METHODS = {
    "HNSW": {"index": "faiss_hnsw"},
    "dba": {"rerank": "dba"},
    "k_reciprocal": {"rerank": "k_reciprocal"},
    "diffusion": {"rerank": "diffusion", "options": {"rerank.shortlist": 30}},
}


@pytest.mark.parametrize("options", METHODS.values(), ids=METHODS)
def test_blocks_do_not_change_a_score(options, monkeypatch, tmp_path):
    vectors, labels = empty_frames(300, 220, seed=1)
    vectors += np.random.default_rng(1).normal(0, 0.1, vectors.shape).astype(np.float32)
    whole = run(vectors, labels, tmp_path, **options)
    for module in BLOCKS:
        monkeypatch.setattr(module, "BLOCK_ITEMS", 1)
    in_blocks = run(vectors, labels, tmp_path, **options)
    assert_equal(whole, in_blocks)


IMAGES = {
    "keypoints": {"model": "sift", "model.max_keypoints": 20, "model.shortlist": None},
    "spatial": {
        **{"model": "pixels", "model.image_size": 8, "rerank": "spatial", "rerank.shortlist": 5},
        "rerank.max_keypoints": 20,
    },
    "fused": {
        **{"model": "ensemble", "model.members": ["pixels image_size=8", "pixels image_size=9"]},
        "model.fusion": "zscore",
    },
}


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(options, id=name, marks=[pytest.mark.slow] if name == "keypoints" else [])
        for name, options in IMAGES.items()
    ],
)
def test_blocks_do_not_change_a_score_of_photos(options, monkeypatch, tmp_path):
    """Blocks of keypoint rankings are cached under other keys than all queries together."""
    rng = np.random.default_rng(0)
    labels = [0] * 66 + [1, 1, 2, 2]
    scenes = rng.integers(0, 256, (3, 6, 6, 3), dtype=np.uint8)
    images = [np.kron(scenes[label], np.ones((11, 11, 1), np.uint8)) for label in labels]
    images = [image ^ rng.integers(0, 64, image.shape, dtype=np.uint8) for image in images]
    options = {"cache.dir": str(tmp_path), **options}
    given = {"labels": labels, "protocol": "leave_one_out", "k": [1, 5], "options": options}
    whole = ob.run(images, **given)
    for module in BLOCKS:
        monkeypatch.setattr(module, "BLOCK_ITEMS", 40)
    monkeypatch.setattr(keypoints, "MIN_DEPTH", 1)
    monkeypatch.setattr(fusion, "_BLOCK_ITEMS", 1)
    assert_equal(whole, ob.run(images, **given))


def assert_equal(whole, in_blocks):
    assert in_blocks.evaluation.metrics == whole.evaluation.metrics
    assert in_blocks.evaluation.intervals == whole.evaluation.intervals
    assert in_blocks.evaluation.per_class == whole.evaluation.per_class
    for name, values in whole.evaluation.per_query.items():
        assert np.array_equal(in_blocks.evaluation.per_query[name], values), name
    assert np.array_equal(in_blocks.ranking.indices, whole.ranking.indices)
    assert np.allclose(in_blocks.ranking.scores, whole.ranking.scores, rtol=1e-5, atol=1e-5)
    recalls = [result.costs.recall_at_10 for result in (whole, in_blocks)]
    assert recalls[0] == recalls[1]


@pytest.mark.slow
def test_memory_is_that_of_a_block(monkeypatch, tmp_path):
    """A ranking of all queries to the depth of the largest class would take 66 MB."""
    vectors, labels = empty_frames(2500, 2200)
    monkeypatch.setattr(search, "BLOCK_ITEMS", 1)  # the fewest queries of a block, 64
    monkeypatch.setattr(benchmark, "_RETAINED_HITS", 0)
    run(vectors[:50], labels[:50], tmp_path)  # imports what it needs
    tracemalloc.start()
    result = run(vectors, labels, tmp_path, index="exact")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert result.evaluation.metrics["map_at_r"] > 0
    assert result.ranking.depth == 300
    assert 2500 * 2199 * 12 > 65e6
    assert peak < 50e6
