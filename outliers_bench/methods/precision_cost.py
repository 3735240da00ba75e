"""Cost of a precision below float32: the same photos ranked in both precisions."""

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
BLOCK = 4096  # rows compared at a time
SAMPLE = 200  # photos to compare if not all float32 features are stored


def precision_cost(
    split: Split,
    vectors: EmbeddingSource,
    reference: EmbeddingSource,
    *,
    reduce: Callable[[FloatArray], FloatArray],
    metric: Metric,
    seed: int,
    label: str = "",
) -> dict[str, float]:
    """Compare embeddings with the float32 embeddings of the same photos.

    Compares all queries and the full gallery if the float32 features of a single network without
    test-time augmentation are stored; otherwise a sample of about `SAMPLE` photos, whose features
    are computed and stored. The ranking is by exact search without re-ranking: a small gallery says
    little about approximate search or re-ranking.

    Parameters
    ----------
    split : Split
        Split without unreadable images.
    vectors : EmbeddingSource
        Embeddings of the run, after `compute` and `fit`.
    reference : EmbeddingSource
        The same in float32, fitted; `compute` is called here.
    reduce : callable
        Normalization and reduction of the run, applied to embeddings of shape (n, d).
    metric : Metric
        Similarity of the search.
    seed : int
        Seed of the order of ties.
    label : str
        Label of an ensemble member, part of the returned names.

    Returns
    -------
    dict of str to float
        `f32_cost/images`, the number of images compared; `f32_cost/cosine_mean` and `_min`,
        between the two embeddings of an image; with labels `f32_cost/hit_at_1` and `map_at_r`, the
        score of float32 minus that of the run. Empty without images.
    """
    stored = isinstance(reference, Features) and not len(reference.missing(split.query_and_gallery))
    part = split if stored else sample_split(split)
    unreadable = reference.compute(part.query_and_gallery)
    part = part.without(unreadable)
    images = part.query_and_gallery
    if not len(images):  # all became unreadable in the meantime
        return {}
    matrices = [source.load(images) for source in (vectors, reference)]
    cosines = _cosines(*matrices)
    cost = {
        "images": float(len(images)),
        "cosine_mean": float(cosines.mean()),
        "cosine_min": float(cosines.min()),
    }
    if part.labeled and (relevant := _relevant(part)).any():
        row_of = {digest: row for row, digest in enumerate(images.digests)}
        depth = max(1, int(relevant.max()))

        def scores(matrix: FloatArray) -> dict[str, float]:
            def load(subset: ImageSet) -> FloatArray:
                return reduce(matrix[[row_of[digest] for digest in subset.digests]])

            return _scores(part, load, metric, seed, depth=depth)

        # Popped, so that each matrix is freed as soon as it has been reduced.
        run_scores, f32_scores = scores(matrices.pop(0)), scores(matrices.pop(0))
        for name in ("hit_at_1", "map_at_r"):
            cost[name] = f32_scores[name] - run_scores[name]
    prefix = f"{PREFIX}{label}/" if label else PREFIX
    return {f"{prefix}{name}": value for name, value in cost.items()}


class ComputedEmbeddings:
    """Embedding source whose embeddings the run has already computed and fitted.

    Parameters
    ----------
    vectors : EmbeddingSource
        Embeddings of the run.
    """

    def __init__(self, vectors: EmbeddingSource) -> None:
        self.load, self.identity, self.blank = vectors.load, vectors.identity, vectors.blank

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:  # noqa: ARG002
        """Do nothing: all embeddings are stored."""
        return {}

    def fit(
        self, part: ImageSet, images: ImageSet, observer: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Do nothing: the run has fitted them."""


def sample_split(split: Split, size: int = SAMPLE) -> Split:
    """Sample queries and gallery images by content digest.

    With labels, each sampled query comes with one relevant gallery image, so that it can be scored;
    the rest of the gallery is filled up by content digest alone.
    """
    gallery = _shuffle_by_content(split.gallery)
    query_rows: list[int] = []
    gallery_rows: dict[int, None] = {}  # an ordered set
    for row in _shuffle_by_content(split.query):
        if len(query_rows) + len(gallery_rows) >= size * 2 // 3:
            break
        relevant = _first_relevant(split, row, gallery)
        if split.labeled and relevant is None:
            continue
        if split.leave_one_out:
            gallery_rows.setdefault(row)
        else:
            query_rows.append(row)
        if relevant is not None:
            gallery_rows.setdefault(relevant)
    for row in gallery[: size - len(query_rows)]:
        if len(query_rows) + len(gallery_rows) >= size:
            break
        gallery_rows.setdefault(row)
    part = split.gallery.take(sorted(gallery_rows))
    query = part if split.leave_one_out else split.query.take(sorted(query_rows))
    return replace(split, train=split.train.take([]), query=query, gallery=part)


def _shuffle_by_content(images: ImageSet) -> list[int]:
    # Hashed again: in digest order, the first are those that an int8 network was calibrated on.
    keys = [hashlib.blake2b(digest, person=b"precision").digest() for digest in images.digests]
    return sorted(range(len(images)), key=keys.__getitem__)


def _first_relevant(split: Split, row: int, gallery: list[int]) -> int | None:
    query_labels, gallery_labels = split.query.labels, split.gallery.labels
    if query_labels is None or gallery_labels is None:
        return None
    for other in gallery:
        same = gallery_labels[other] == query_labels[row]
        if same and not (split.leave_one_out and other == row):
            return other
    return None


def _relevant(split: Split) -> IntArray:
    return count_relevant(split.query, split.gallery, leave_one_out=split.leave_one_out)


def _cosines(one: FloatArray, other: FloatArray) -> FloatArray:
    """Cosine of each row with the same row of the other; in blocks, to save float64 memory."""
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
