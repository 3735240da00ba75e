"""The gallery's neighbor graph: exact, by identity, kept, and made anew where it is damaged."""

import numpy as np
import pytest

from outliers_bench.retrieval import build_or_load_graph as graphs
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.neighbors import build_or_load_graph
from outliers_bench.retrieval.search import GallerySearch
from outliers_bench.retrieval.ties import pair_similarities

ITEMS = np.random.default_rng(0).normal(size=(70, 9)).astype(np.float32)
ORDER = np.random.default_rng(1).permutation(70)


def search_over(items, cache=None, order=ORDER):
    return GallerySearch(items, index=Exact(), order=order, cache=cache)


def brute_force(search, k):
    place = np.argsort(search.order)
    similarities = search.gallery.astype(np.float64) @ search.gallery.T.astype(np.float64)
    np.fill_diagonal(similarities, -np.inf)
    rows = [np.lexsort((place, -row.round(6)))[:k] for row in similarities]
    return np.array(rows), np.take_along_axis(similarities, np.array(rows), axis=1)


@pytest.mark.parametrize("k", [1, 5, 69, 500])
def test_finds_what_brute_force_finds(k):
    search = search_over(ITEMS)
    positions, similarities = brute_force(search, min(k, 69))
    found = build_or_load_graph(search, k)
    assert np.array_equal(found.positions, positions)
    assert np.allclose(found.similarities, similarities, atol=1e-6)
    assert (np.diff(found.similarities, axis=1) <= 0).all()


def test_copies_and_blank_items_follow_the_order_and_never_themselves():
    items = ITEMS.copy()
    items[20:60] = items[3]
    items[60:] = 0
    search = search_over(items)
    found = build_or_load_graph(search, 30).positions
    assert np.array_equal(found, brute_force(search, 30)[0])
    assert not (found == np.arange(70)[:, None]).any()


def test_a_gallery_that_lacks_an_item():
    found = build_or_load_graph(search_over(ITEMS), 6)
    without = int(found.positions[0, 2])
    others = np.delete(np.arange(70), without)
    order = np.array([int(np.searchsorted(others, item)) for item in ORDER if item != without])
    lacking = build_or_load_graph(search_over(ITEMS[others], order=order), 5)
    positions, similarities = found.nearest(others, 5, without=np.array([without]))
    assert np.array_equal(positions, others[lacking.positions])
    assert np.array_equal(similarities, lacking.similarities)


def test_a_pair_has_one_similarity_in_any_company():
    positions = np.tile(np.arange(70), (70, 1))
    whole = pair_similarities(ITEMS, ITEMS, positions)
    assert np.array_equal(whole, whole.T)
    for row in range(0, 70, 9):
        for count in (1, 2, 13):
            some = pair_similarities(ITEMS[row][None], ITEMS, positions[:1, :count])
            assert np.array_equal(some[0], whole[row, :count])


def test_kept_and_told_apart(tmp_path, monkeypatch):
    first = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    made = []
    found = graphs._found
    monkeypatch.setattr(graphs, "_found", lambda *args: made.append(args) or found(*args))
    again = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    assert not made
    assert np.array_equal(first.positions, again.positions)
    assert np.array_equal(first.similarities, again.similarities)
    assert first.positions.dtype == again.positions.dtype
    build_or_load_graph(search_over(ITEMS, tmp_path), 6)
    build_or_load_graph(search_over(ITEMS + np.float32(0.1), tmp_path), 5)
    build_or_load_graph(search_over(ITEMS, tmp_path, ORDER[::-1]), 5)
    assert len(made) == 3


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04", None])
def test_a_damaged_file_is_made_anew(tmp_path, damage):
    first = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    (file,) = tmp_path.rglob("*.npz")
    whole = file.read_bytes()
    file.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    again = build_or_load_graph(search_over(ITEMS, tmp_path), 5)
    assert np.array_equal(first.positions, again.positions)
    assert file.read_bytes() == whole
