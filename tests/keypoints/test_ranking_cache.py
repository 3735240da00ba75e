"""Cache of rankings by keypoints: reading with times, keys, damage and limits."""

import os
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.keypoints import ranking_cache
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Ranking, same
from tests.toys import toy_split

SPLIT = toy_split([0, 1, 2], [0, 1, 2, 3, 4, 5])


class CountingRanker:
    def __init__(self, cache):
        self.cache, self.depths, self.meter = cache, [], Meter()

    def __call__(self, depth, meter):
        self.depths.append(depth)
        meter.add("search", 2.5)
        indices = np.tile(np.arange(depth), (3, 1))
        return Ranking(indices, -indices.astype(np.float32))

    def rank(self, depth=4, key=None, split=SPLIT, order=None):
        return ranking_cache.rank_or_load(
            self,
            key=key or {"a": 1},
            queries=split.query,
            gallery=split.gallery,
            exclusion=split.exclusion,
            order=np.arange(6) if order is None else order,
            depth=depth,
            cache=self.cache,
            meter=self.meter,
        )


@pytest.fixture
def ranker(tmp_path):
    return CountingRanker(tmp_path)


def test_the_second_ranking_is_read_with_its_times(ranker):
    first = ranker.rank()
    again = CountingRanker(ranker.cache)
    read = again.rank(depth=2)
    assert ranker.depths == [6], "as deep as the gallery, for any requested depth"
    assert again.depths == []
    assert again.meter.seconds == {"search": 2.5}
    assert np.array_equal(read.indices, first.indices[:, :2])
    assert np.array_equal(read.scores, first.scores[:, :2])


def test_an_exclusion_is_part_of_the_key(ranker):
    ranker.rank()
    for cameras in ("xyzxyy", "yxzxxy"):
        parts = {
            name: replace(part, columns={"camera": np.array(list(values), dtype=object)})
            for name, part, values in (
                ("query", SPLIT.query, "xyz"),
                ("gallery", SPLIT.gallery, cameras),
            )
        }
        excluding = replace(SPLIT, **parts, excluded=same("camera"))
        for _ in range(2):
            ranker.rank(depth=2, split=excluding)
    assert ranker.depths == [6, 6, 6], "once each"


def test_earlier_times_are_not_cached(ranker):
    ranker.meter.add("search", 100)
    ranker.rank()
    again = CountingRanker(ranker.cache)
    again.rank()
    assert again.meter.seconds == {"search": 2.5}


@pytest.mark.parametrize(
    "other",
    [
        {"key": {"a": 2}},
        {"split": toy_split([0, 1, 2], [0, 1, 2, 3, 4])},
        {"order": np.arange(6)[::-1]},
    ],
    ids=["options", "photos", "ties"],
)
def test_every_difference_is_another_ranking(ranker, other):
    if "split" in other:
        other["order"] = np.arange(5)
    ranker.rank()
    ranker.rank(**other)
    assert len(ranker.depths) == 2


def test_a_shallow_ranking_is_not_used_for_a_deeper_one(ranker, monkeypatch):
    monkeypatch.setattr(ranking_cache, "MIN_DEPTH", 2)
    ranker.rank(depth=2)
    assert ranker.rank(depth=5).depth == 5
    assert ranker.depths == [2, 5]


def test_a_damaged_file_is_computed_again(ranker):
    expected = ranker.rank()
    (file,) = (ranker.cache / "rankings").iterdir()
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[:-40], b"x" * len(content)):
        file.write_bytes(damaged)
        again = CountingRanker(ranker.cache)
        assert np.array_equal(again.rank().indices, expected.indices)
        assert again.depths == [6]
    assert [path.name for path in file.parent.iterdir()] == [file.name], "no leftover files"


def test_the_oldest_rankings_are_removed(ranker, monkeypatch):
    monkeypatch.setattr(ranking_cache, "MAX_RANKINGS", 2)
    for seed in range(3):
        ranker.rank(key={"seed": seed})
        for path in (ranker.cache / "rankings").glob("*.npz"):
            os.utime(path, (path.stat().st_mtime - 10,) * 2)
    again = CountingRanker(ranker.cache)
    for seed in (2, 1, 0):
        again.rank(key={"seed": seed})
    assert again.depths == [6], "only the first was removed"
