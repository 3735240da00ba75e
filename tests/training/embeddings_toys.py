"""Images for the tests of trained embeddings, and a training of them."""

from dataclasses import replace

import numpy as np

from outliers_bench.engines.options import Engine
from outliers_bench.runtime.meter import Meter
from outliers_bench.training.embeddings import TrainedEmbeddings
from outliers_bench.types import ImageSet
from tests.toys import ArrayReader
from tests.training_toys import (
    COUNTS,
    RecordingObserver,
    colored_images,
)

TRAIN = colored_images(COUNTS, side=30)  # not the network's size
QUERIES = colored_images(COUNTS, seed=1, prefix="query-", side=30)


class TrainingStarted(Exception):
    pass


class Toy:
    """A train part and queries that share one counting reader."""

    def __init__(self, train: ImageSet = TRAIN, queries: ImageSet = QUERIES) -> None:
        self.reader = ArrayReader({**train.reader.arrays, **queries.reader.arrays})
        self.train = replace(train, reader=self.reader)
        self.images = ImageSet(
            (*train.names, *queries.names),
            (*train.digests, *queries.digests),
            None,
            train.classes,
            self.reader,
        )


def fit(option, cache, toy=None, observer=None):
    """Train; return the embeddings, the observer, the meter and the images."""
    toy, observer, meter = toy or Toy(), observer or RecordingObserver(), Meter()
    embeddings = TrainedEmbeddings(option, Engine(), cache, meter)
    assert embeddings.compute(toy.images) == {}
    embeddings.fit(toy.train, toy.images, observer)
    return embeddings, observer, meter, toy


def resized(images: ImageSet, side: int):
    from outliers_bench.data.decode import resize

    return np.stack([resize(images.read(row), side) for row in range(len(images))])
