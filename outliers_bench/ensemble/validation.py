"""Part of train on which an ensemble is tuned."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from outliers_bench.data.split import Protocol, make_split
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, Split


def validation_split(train: ImageSet, name: str, *, limit: int, seed: int) -> Split:
    """Split train again: a part to tune weights on, and the rest, to fit members on.

    With many classes of few photos, only some of the classes are split.

    Parameters
    ----------
    train : ImageSet
        Labeled images.
    name : str
        Name of the data set.
    limit : int
        Maximum number of images to tune on; at most half of train is.
    seed : int
        Seed of the choice of these images.

    Returns
    -------
    Split
        The part as query and gallery, of about equal size, and the rest as train.

    Raises
    ------
    BenchError
        If fewer than two classes have two images.
    """
    limit = min(limit, len(train) // 2)
    share = limit / max(len(train), 1)
    labels = np.empty(0, np.int64) if train.labels is None else train.labels
    counts = np.bincount(labels)
    held_out = np.maximum(np.round(share * counts), 2)  # each needs a query and a relevant one
    shuffled = np.random.default_rng(seed).permutation(np.flatnonzero(counts >= 2))
    total = np.cumsum(held_out[shuffled])
    classes = shuffled[: max(2, int(np.searchsorted(total, limit, "right")))]
    split = make_split(
        train.take(np.flatnonzero(np.isin(labels, classes))),
        name=f"the train part of {name}",
        train=1 - share,
        query=0.5,
        protocol=Protocol.query_gallery,
        seed=seed,
    )
    rest = train.without(set(split.query.digests) | set(split.gallery.digests))
    if not len(rest):
        raise BenchError(f"the train part of {name} has too few images to hold out some")
    return replace(split, train=rest)
