"""Small made-up results to record and draw."""

from __future__ import annotations

import numpy as np

from outliers_bench.config.schema import Cache, Config, ContactSheets, Tracking
from outliers_bench.data.source import DataSource
from outliers_bench.errors import UnreadableImageError
from outliers_bench.evaluation.evaluate import evaluate
from outliers_bench.models.model import Extractor
from outliers_bench.result import Result
from outliers_bench.retrieval.indexes.index import Index
from outliers_bench.runtime.meter import Costs
from outliers_bench.types import ImageSet, LeftOut, Ranking, Split

CLASSES = ("ant", "bee", "cat", "dog")


class PlainReader:
    """Reader of plain images that records their names; names with 'broken' are unreadable."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def read(self, name, digest=None, *, side=None):
        self.seen.append(name)
        if "broken" in name:
            raise UnreadableImageError("broken", name=name)
        return np.full((20, 40, 3), 77, dtype=np.uint8)


def images(part, n, *, labeled, reader, salt):
    labels = np.arange(n, dtype=np.int64) % len(CLASSES)
    return ImageSet(
        names=tuple(f"{part}/{CLASSES[label]}{i}.jpg" for i, label in enumerate(labels)),
        digests=tuple(f"{salt}{part}{i}".encode().ljust(16, b"_") for i in range(n)),
        labels=labels if labeled else None,
        classes=CLASSES,
        reader=reader,
    )


def make_split(name="toy", *, labeled=True, reader=None, salt=""):
    options = {"labeled": labeled, "reader": reader or PlainReader(), "salt": salt}
    return Split(
        name=name,
        train=images("train", 8, **options),
        query=images("query", 12, **options),
        gallery=images("gallery", 20, **options),
        left_out=(LeftOut("x/bad.jpg", "unreadable", "truncated"),),
    )


def make_result(split, *, seed=0, speed=50.0):
    """Return a random ranking of the gallery and its evaluation."""
    rng = np.random.default_rng(seed)
    n_query, n_gallery = len(split.query), len(split.gallery)
    indices = np.stack([rng.permutation(n_gallery) for _ in range(n_query)]).astype(np.int64)
    scores = -np.sort(-rng.random((n_query, n_gallery)).astype(np.float32), axis=1)
    ranking = Ranking(indices, scores)
    evaluation = evaluate(ranking, split, k=[1, 5, 10]) if split.labeled else None
    seconds = {"embed": 1.5, "search": 0.25}
    costs = Costs(16, 30, 10, speed, 0.125, 4096, 2**30, seconds)
    return Result(split, ranking, evaluation, costs)


def make_config(uri, *, name="toy", model="toynet", pca=None, cache="nowhere"):
    config = Config(
        data=DataSource(name=name),
        model=Extractor(name=model, image_size=8),
        index=Index(name="exact"),
        cache=Cache(dir=str(cache)),
        tracking=Tracking(uri=uri),
        contact_sheets=ContactSheets(queries=2, depth=3),
        k=[1, 5, 10],
    )
    config.pca.n = pca
    return config
