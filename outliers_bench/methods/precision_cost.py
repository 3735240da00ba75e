"""What a precision below float32 costs: the same photos, ranked by both."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from outliers_bench.evaluation.evaluate import count_relevant, evaluate
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.features.extract import Features
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.search import GallerySearch, tie_order
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import FloatArray, ImageSet, IntArray, LeftOut, Split

PREFIX = "f32_cost/"
BLOCK = 4096  # rows that are compared at a time
SAMPLE = 200  # photos, where float32's features of all are not there anyway


def precision_cost(
    split: Split,
    vectors: EmbeddingSource,
    whole: EmbeddingSource,
    *,
    reduced: Callable[[FloatArray], FloatArray],
    metric: Metric,
    seed: int,
    label: str = "",
) -> dict[str, float]:
    """Compare embeddings with float32's of the same photos.

    On all queries against the whole gallery where float32's features of a plain network are
    stored; otherwise, and with views or several models, on a sample of about `SAMPLE` photos, whose
    features are computed and stored. Ranked by an exact search, without re-ranking: a small gallery
    is no measure of those.

    Parameters
    ----------
    split : Split
        Without unreadable images.
    vectors : Vectors
        Which `compute` and `fit` have made ready.
    whole : Vectors
        The same in float32, ready but for `compute`.
    reduced : callable
        What the run does to embeddings, shape (n, d), before they are searched.
    metric : Metric
        By which they are.
    seed : int
        Decides the order of ties.
    label : str
        Which member of an ensemble it is: stands in the names, before the last part.

    Returns
    -------
    dict of str to float
        `f32_cost/images`, how many were compared; `f32_cost/cosine_mean` and `_min`, of an
        image's two embeddings; with labels `f32_cost/hit_at_1` and `map_at_r`, float32's score
        less this one's. Empty without images.
    """
    stored = isinstance(whole, Features) and not len(whole.missing(split.query_and_gallery))
    part = split if stored else sampled(split)
    unreadable = whole.compute(part.query_and_gallery, commit=lambda: None)
    part = part.without(unreadable)
    images = part.query_and_gallery
    if not len(images):  # all have become unreadable
        return {}
    found = [source.load(images) for source in (vectors, whole)]
    cosines = _cosines(*found)
    cost = {
        "images": float(len(images)),
        "cosine_mean": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
    }
    if part.labeled and (relevant := _relevant(part)).any():
        row_of = {digest: row for row, digest in enumerate(images.digests)}
        depth = max(1, int(relevant.max()))

        def scores(matrix: FloatArray) -> dict[str, float]:
            def load(some: ImageSet) -> FloatArray:
                return reduced(matrix[[row_of[digest] for digest in some.digests]])

            return _scores(part, load, metric, seed, depth=depth)

        ours, theirs = scores(found.pop(0)), scores(found.pop(0))
        for name in ("hit_at_1", "map_at_r"):
            cost[name] = theirs[name] - ours[name]
    prefix = f"{PREFIX}{label}/" if label else PREFIX
    return {f"{prefix}{name}": value for name, value in cost.items()}


class Computed:
    """Embeddings that the run has computed, to be compared with: nothing is left to do.

    Parameters
    ----------
    vectors : Vectors
        Of the run.
    """

    def __init__(self, vectors: EmbeddingSource) -> None:
        self.load, self.identity, self.blank = vectors.load, vectors.identity, vectors.blank

    def compute(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:  # noqa: ARG002
        """All of it is stored; see `EmbeddingSource.compute`."""
        return {}

    def fit(
        self, part: ImageSet, images: ImageSet, watch: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """What there was to learn was learned."""


def sampled(split: Split, size: int = SAMPLE) -> Split:
    """A part of query and gallery, chosen by content.

    With labels, each query that is taken brings an image along that is to be found, so that there
    is something to score; the rest of the gallery is filled up by content alone.
    """
    gallery = _by_content(split.gallery)
    asked: list[int] = []
    taken: dict[int, None] = {}  # rows of the gallery, in the order in which they were chosen
    for row in _by_content(split.query):
        if len(asked) + len(taken) >= size * 2 // 3:
            break
        found = _first_relevant(split, row, gallery)
        if split.labeled and found is None:
            continue
        if split.leave_one_out:
            taken.setdefault(row)
        else:
            asked.append(row)
        if found is not None:
            taken.setdefault(found)
    for row in gallery[: size - len(asked)]:
        if len(asked) + len(taken) >= size:
            break
        taken.setdefault(row)
    part = split.gallery.take(sorted(taken))
    query = part if split.leave_one_out else split.query.take(sorted(asked))
    return replace(split, train=split.train.take([]), query=query, gallery=part)


def _by_content(images: ImageSet) -> list[int]:
    # Hashed again: by their own order the first are those that an int8 network was calibrated on.
    again = [hashlib.blake2b(digest, person=b"precision").digest() for digest in images.digests]
    return sorted(range(len(images)), key=again.__getitem__)


def _first_relevant(split: Split, row: int, gallery: list[int]) -> int | None:
    asked, labels = split.query.labels, split.gallery.labels
    if asked is None or labels is None:
        return None
    for other in gallery:
        if labels[other] == asked[row] and not (split.leave_one_out and other == row):
            return other
    return None


def _relevant(split: Split) -> IntArray:
    return count_relevant(split.query, split.gallery, leave_one_out=split.leave_one_out)


def _cosines(one: FloatArray, other: FloatArray) -> FloatArray:
    """Of each row with the same row of the other; in blocks, as float64 takes twice the room."""
    blocks = range(0, len(one), BLOCK)
    return np.concatenate(
        [
            np.einsum(
                "nd,nd->n",
                *(l2_normalize(part[at : at + BLOCK]).astype(np.float64) for part in (one, other)),
            )
            for at in blocks
        ]
    )


def _scores(
    split: Split,
    load: Callable[[ImageSet], FloatArray],
    metric: Metric,
    seed: int,
    *,
    depth: int,
) -> dict[str, float]:
    gallery = load(split.gallery)
    queries = gallery if split.leave_one_out else load(split.query)
    search = GallerySearch(
        gallery,
        index=Exact(metric=metric),
        order=tie_order(split.gallery.digests, seed),
        leave_one_out=split.leave_one_out,
    )
    return dict(evaluate(search.rank(queries, depth), split, k=[1]).metrics)
