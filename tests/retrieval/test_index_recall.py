"""Recall of an approximate index: examples counted by hand."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Index, Metric
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.search import VectorSearch
from outliers_bench.types import Exclusion
from tests.toys import exclude_nothing


@dataclass
class Missing(Index):
    """Index that ranks some positions last."""

    missed: list[int] = field(default_factory=list)
    exact = False

    def build(self, gallery):
        return MissingSearcher(Exact(metric=self.metric).build(gallery), self.missed)


@dataclass
class MissingSearcher:
    exact: object
    missed: list[int]
    nbytes = 0

    def search(self, queries, depth):
        positions, scores = self.exact.search(queries, 1_000_000)
        scores = np.where(np.isin(positions, self.missed), -1e9, scores)
        best = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
        return np.take_along_axis(positions, best, 1), np.take_along_axis(scores, best, 1)


def on_a_line(*values):
    return np.array(values, dtype=np.float32)[:, None]


def search_of(gallery, index):
    return VectorSearch(gallery, index=index, order=np.arange(len(gallery)))


def missing(*missed, metric=Metric.inner_product):
    return Missing("missing", metric, list(missed))


def recall(search, queries, *, depth=10, exclusion=None):
    exclusion = exclusion or exclude_nothing(queries, search)
    return recall_at_10(search, queries, depth=depth, exclusion=exclusion)


def test_two_of_the_ten_nearest_are_missed():
    search = search_of(on_a_line(*range(1, 21)), missing(19, 14, 3))  # 3 is not among the ten
    assert recall(search, on_a_line(1)) == pytest.approx(0.8)


def test_the_mean_over_queries():
    # Of the query -1, the ten nearest are positions 0 to 9, of which 3 is missed.
    search = search_of(on_a_line(*range(1, 21)), missing(19, 14, 3))
    assert recall(search, on_a_line(1, -1)) == pytest.approx((0.8 + 0.9) / 2)


def test_any_item_as_near_as_the_tenth_is_a_hit():
    line = on_a_line(20, 19, 18, 17, 16, 15, 14, 13, 12, 5, 5, 5, 1)
    gallery = np.hstack([line, on_a_line(*range(13))])  # different vectors as near as each other
    query = np.array([[1, 0]], dtype=np.float32)
    assert recall(search_of(gallery, missing(9, 10)), query) == 1
    assert recall(search_of(gallery, missing(9, 10, 11)), query) == pytest.approx(0.9)


def test_leave_one_out():
    # On a line from 0 to 11, item 0 is missed. This does not matter for itself, nor for 6 to 11,
    # which are farthest from it; 1 to 5 find 11 instead.
    items = on_a_line(*range(12))
    search = search_of(items, missing(0, metric=Metric.euclidean))
    itself = Exclusion.itself(12)
    assert recall(search, items, exclusion=itself) == pytest.approx((7 * 1 + 5 * 0.9) / 12)


def test_leave_one_out_of_some_queries(monkeypatch):
    monkeypatch.setattr("outliers_bench.retrieval.recall.MAX_QUERIES", 4)
    items = on_a_line(*range(12))
    search = search_of(items, missing(0, metric=Metric.euclidean))
    itself = Exclusion.itself(12)
    assert recall(search, items, exclusion=itself) == pytest.approx((1 + 0.9 + 1 + 1) / 4), (
        "0, 3, 6, 9"
    )


def test_there_is_none_if_all_items_are_excluded_for_all_queries():
    everything = Exclusion.same_value(np.zeros(2), np.zeros(7))
    search = search_of(on_a_line(*range(1, 8)), missing(2))
    assert recall_at_10(search, on_a_line(1, -1), depth=5, exclusion=everything) is None


def test_a_gallery_of_fewer_than_ten_items():
    gallery = on_a_line(*range(1, 8))
    assert recall(search_of(gallery, missing(2, 6)), on_a_line(1, -1)) == 1


@dataclass
class Shallow(Missing):
    """Index that misses items only if fewer than twelve are requested, as annoy may."""

    def build(self, gallery):
        return ShallowSearcher(Exact(metric=self.metric).build(gallery), self.missed)


class ShallowSearcher(MissingSearcher):
    def search(self, queries, depth):
        return self.exact.search(queries, depth) if depth >= 12 else super().search(queries, depth)


def test_recall_depends_on_the_depth_of_the_ranking():
    search = search_of(on_a_line(*range(1, 21)), Shallow("shallow", Metric.inner_product, [19, 14]))
    assert recall(search, on_a_line(1)) == pytest.approx(0.8)
    assert recall(search, on_a_line(1), depth=15) == 1


def test_recall_is_measured_on_the_active_gallery():
    search = search_of(on_a_line(*range(1, 21)), missing(19, 14))
    search.with_gallery(on_a_line(*range(20, 0, -1)))  # positions 0 to 9 are nearest
    assert recall(search, on_a_line(1)) == 1


def test_exact_search_has_no_recall():
    assert recall(search_of(on_a_line(1, 2), Exact()), on_a_line(1)) is None


def test_recall_is_not_metered():
    search = search_of(on_a_line(*range(1, 21)), missing(19))
    search.rank(on_a_line(1), 3, exclusion=Exclusion.nothing(1, 20))
    seconds, size = dict(search.meter.seconds), search.meter.index_bytes
    recall(search, on_a_line(1))
    assert (search.meter.seconds, search.meter.index_bytes) == (seconds, size)
