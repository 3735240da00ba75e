"""Neighbor graph of a gallery: exact, without the item itself, and cached."""

import numpy as np
import pytest

from outliers_bench.retrieval import neighbors
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.neighbors import build_or_load_graph
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.retrieval.ties import pair_similarities
from outliers_bench.types import Exclusion

ITEMS = np.random.default_rng(0).normal(size=(70, 9)).astype(np.float32)
ORDER = np.random.default_rng(1).permutation(70)


def search_over(items, cache=None, order=ORDER):
    return VectorSearch(items, index=Exact(), order=order, cache=cache)


def brute_force(search, k):
    rank = np.argsort(search.order)
    similarities = search.gallery.astype(np.float64) @ search.gallery.T.astype(np.float64)
    np.fill_diagonal(similarities, -np.inf)
    rows = [np.lexsort((rank, -row.round(6)))[:k] for row in similarities]
    return np.array(rows), np.take_along_axis(similarities, np.array(rows), axis=1)


@pytest.mark.parametrize("k", [1, 5, 69, 500])
def test_against_brute_force(k):
    search = search_over(ITEMS)
    positions, similarities = brute_force(search, min(k, 69))
    graph = build_or_load_graph(search, k)
    assert np.array_equal(graph.positions, positions)
    assert np.allclose(graph.similarities, similarities, atol=1e-6)
    assert (np.diff(graph.similarities, axis=1) <= 0).all()


def test_duplicates_and_blank_items_follow_the_order_and_exclude_themselves():
    items = ITEMS.copy()
    items[20:60] = items[3]
    items[60:] = 0
    search = search_over(items)
    positions = build_or_load_graph(search, 30).positions
    assert np.array_equal(positions, brute_force(search, 30)[0])
    assert not (positions == np.arange(70)[:, None]).any()


@pytest.mark.parametrize("k", [3, 30])
def test_items_that_differ_by_rounding_errors_only(k):
    noise = np.random.default_rng(2).normal(scale=1e-7, size=ITEMS.shape)
    search = search_over((ITEMS[:1] + noise).astype(np.float32))
    everything = np.tile(ORDER, (70, 1))
    similarities = pair_similarities(search.gallery, search.gallery, everything)
    similarities[everything == np.arange(70)[:, None]] = -np.inf
    expected = ORDER[np.argsort(-similarities, axis=1, kind="stable")[:, :k]]
    assert np.array_equal(build_or_load_graph(search, k).positions, expected)


def test_nearest_without_an_item_equals_the_graph_without_it():
    graph = build_or_load_graph(search_over(ITEMS), 6)
    without = int(graph.positions[0, 2])
    others = np.delete(np.arange(70), without)
    exclusion = Exclusion.of_items(np.array([without]), 70)
    order = np.array([int(np.searchsorted(others, item)) for item in ORDER if item != without])
    smaller = build_or_load_graph(search_over(ITEMS[others], order=order), 5)
    positions, similarities = graph.nearest(others, 5, exclusion=exclusion)
    assert np.array_equal(positions, others[smaller.positions])
    assert np.array_equal(similarities, smaller.similarities)


def test_similarity_of_a_pair_does_not_depend_on_other_pairs():
    positions = np.tile(np.arange(70), (70, 1))
    all_pairs = pair_similarities(ITEMS, ITEMS, positions)
    assert np.array_equal(all_pairs, all_pairs.T)
    for row in range(0, 70, 9):
        for count in (1, 2, 13):
            some = pair_similarities(ITEMS[row][None], ITEMS, positions[:1, :count])
            assert np.array_equal(some[0], all_pairs[row, :count])


def test_graphs_are_cached_by_content(tmp_path, monkeypatch):
    first = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    built = []
    build = neighbors._build_graph
    monkeypatch.setattr(neighbors, "_build_graph", lambda *args: built.append(args) or build(*args))
    again = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    assert not built
    assert np.array_equal(first.positions, again.positions)
    assert np.array_equal(first.similarities, again.similarities)
    assert first.positions.dtype == again.positions.dtype
    build_or_load_graph(search_over(ITEMS, tmp_path), 6)
    build_or_load_graph(search_over(ITEMS + np.float32(0.1), tmp_path), 5)
    build_or_load_graph(search_over(ITEMS, tmp_path, ORDER[::-1]), 5)
    assert len(built) == 3


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_a_damaged_file_is_rebuilt(tmp_path, damage):
    first = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    (file,) = tmp_path.rglob("*.npz")
    content = file.read_bytes()
    file.write_bytes(content[: len(content) // 2] if damage is None else damage)
    again = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    assert np.array_equal(first.positions, again.positions)
    assert file.read_bytes() == content
