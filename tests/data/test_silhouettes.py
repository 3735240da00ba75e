"""`data=silhouettes`."""

from collections import Counter

import pytest

from outliers_bench.data import silhouettes
from outliers_bench.data.silhouettes import Silhouettes
from tests.data.sources import fails, load


@pytest.mark.extra("demo")
def test_silhouettes_are_ten_animals_without_duplicates(tmp_path):
    split = load(Silhouettes(), tmp_path)
    assert split.name == "silhouettes"
    assert Counter(item.kind for item in split.left_out) == {"duplicate": 284}
    assert len(split.train) + len(split.query) + len(split.gallery) == 9716
    assert split.train.classes[0] == "bear"
    assert split.train.classes[-1] == "zebra"
    image = split.train.read(0)
    assert image.shape == (28, 28, 3)
    # White on black, as in the package.
    assert image[0].mean() < 50 < image.max()


def test_silhouettes_without_the_package(tmp_path, monkeypatch):
    silhouettes._read_block.cache_clear()
    monkeypatch.setattr(silhouettes, "find_spec", lambda name: None)
    fails(Silhouettes(), tmp_path, "python -m pip install animal-mnist==")
