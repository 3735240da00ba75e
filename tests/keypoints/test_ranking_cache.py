"""A kept ranking is read, with what it cost, and never taken for another."""

import os

import numpy as np
import pytest

from outliers_bench.keypoints import ranking_cache
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import Ranking
from tests.toys import toy_split

SPLIT = toy_split([0, 1, 2], [0, 1, 2, 3, 4, 5])


class Maker:
    def __init__(self, cache):
        self.cache, self.asked, self.meter = cache, [], Meter()

    def __call__(self, depth):
        self.asked.append(depth)
        self.meter.add("search", 2.5)
        indices = np.tile(np.arange(depth), (3, 1))
        return Ranking(indices, -indices.astype(np.float32))

    def rank(self, depth=4, said=None, split=SPLIT, order=None):
        return ranking_cache.rank_or_load(
            self,
            said=said or {"a": 1},
            split=split,
            order=np.arange(6) if order is None else order,
            depth=depth,
            cache=self.cache,
            meter=self.meter,
        )


@pytest.fixture
def maker(tmp_path):
    return Maker(tmp_path)


def test_the_second_time_it_is_read_with_its_times(maker):
    first = maker.rank()
    again = Maker(maker.cache)
    read = again.rank(depth=2)
    assert maker.asked == [6], "as deep as the gallery, whatever was asked"
    assert again.asked == []
    assert again.meter.seconds == {"search": 2.5}
    assert np.array_equal(read.indices, first.indices[:, :2])
    assert np.array_equal(read.scores, first.scores[:, :2])


def test_times_before_it_are_not_its_own(maker):
    maker.meter.add("search", 100)
    maker.rank()
    again = Maker(maker.cache)
    again.rank()
    assert again.meter.seconds == {"search": 2.5}


@pytest.mark.parametrize(
    "other",
    [
        {"said": {"a": 2}},
        {"split": toy_split([0, 1, 2], [0, 1, 2, 3, 4])},
        {"order": np.arange(6)[::-1]},
    ],
    ids=["options", "photos", "ties"],
)
def test_another_is_made_anew(maker, other):
    if "split" in other:
        other["order"] = np.arange(5)
    maker.rank()
    maker.rank(**other)
    assert len(maker.asked) == 2


def test_a_shallow_one_does_not_do_for_a_deeper_one(maker, monkeypatch):
    monkeypatch.setattr(ranking_cache, "DEPTH", 2)
    maker.rank(depth=2)
    assert maker.rank(depth=5).depth == 5
    assert maker.asked == [2, 5]


def test_a_damaged_file_is_made_anew(maker):
    expected = maker.rank()
    (file,) = (maker.cache / "rankings").iterdir()
    content = file.read_bytes()
    for damaged in (b"", content[:100], content[:-40], b"x" * len(content)):
        file.write_bytes(damaged)
        again = Maker(maker.cache)
        assert np.array_equal(again.rank().indices, expected.indices)
        assert again.asked == [6]
    assert [path.name for path in file.parent.iterdir()] == [file.name], "nothing left behind"


def test_the_oldest_of_too_many_go(maker, monkeypatch):
    monkeypatch.setattr(ranking_cache, "MOST", 2)
    for seed in range(3):
        maker.rank(said={"seed": seed})
        for path in (maker.cache / "rankings").glob("*.npz"):
            os.utime(path, (path.stat().st_mtime - 10,) * 2)
    again = Maker(maker.cache)
    for seed in (2, 1, 0):
        again.rank(said={"seed": seed})
    assert again.asked == [6], "only the first was gone"
