"""Ranking by classification scores instead of embedding similarity."""

from __future__ import annotations

import copy

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.methods.method import GallerySearch, Method
from outliers_bench.methods.parts import Workspace
from outliers_bench.retrieval.search import BLOCK_ITEMS, tie_order
from outliers_bench.retrieval.ties import drop_excluded
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.training.base import Layer, TrainedModel
from outliers_bench.training.embeddings import TrainedEmbeddings
from outliers_bench.types import (
    Exclusion,
    FloatArray,
    ImageSet,
    IntArray,
    LeftOut,
    RankedBlocks,
    Ranking,
    Split,
)


class ClassScores(Method):
    """Rank the gallery by the probability of the class predicted for the query.

    A baseline for retrieval by a classifier: all queries with the same predicted class get the same
    ranking, and classes missing from the train part are never predicted.
    """

    def __init__(self, model: TrainedModel, workspace: Workspace) -> None:
        self._model = model
        self.workspace = workspace
        self._meter = workspace.meter
        classifier = copy.copy(model)  # replace() would lose the backbone it has resolved
        classifier.embedding = Layer.logits
        self.logits = TrainedEmbeddings(
            classifier, workspace.engine, workspace.cache, workspace.meter
        )

    @property
    def learns_from_labels(self) -> bool:
        """True, as for every trained network; see `Method`."""
        return self._model.learns_from_labels

    def check(self, split: Split) -> None:
        """Reject splits that cannot be trained on, and views to average."""
        self._model.check_split(split)
        if not self._model.tta.plain:
            raise BenchError(
                "model.rank_by=class_scores ranks by probabilities, which are not averaged over "
                "the views of model.tta; remove model.tta, or use model.rank_by=embedding"
            )

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store the inputs of the training; see `Method.extract`."""
        return self.logits.compute(images)

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Train the network; see `Method.fit`."""
        self._model.check_split(split)  # again, without the unreadable images
        with self._meter.stage("fit"):
            self.logits.fit(split.train, split.images, observer)
        self._meter.counts |= self._model.diagnostics(split)

    def index(self, gallery: ImageSet) -> ClassScoreGallery:
        """Load the class scores of the gallery; see `Method.index`."""
        return ClassScoreGallery(self, gallery)


class ClassScoreGallery(GallerySearch):
    """Gallery that is searched by class scores; see `GallerySearch`."""

    def __init__(self, method: ClassScores, gallery: ImageSet) -> None:
        self._gallery = gallery
        self._logits = method.logits
        self._meter = method.workspace.meter
        self._scores = log_softmax(method.logits.load(gallery).matrix)
        self._order = tie_order(gallery.digests, method.workspace.seed)
        self._meter.dimensions = self._scores.shape[1]
        self._meter.index_bytes = self._scores.nbytes

    def query_blocks(
        self, images: ImageSet, depth: int, exclusion: Exclusion, *, full: bool = False
    ) -> RankedBlocks:
        """Rank the gallery for blocks of queries; see `GallerySearch.query_blocks`."""
        scores, order = self._scores, self._order
        is_gallery = images.digests == self._gallery.digests
        queries = scores if is_gallery else log_softmax(self._logits.load(images).matrix)
        predicted = queries.argmax(axis=1)
        size = max(1, BLOCK_ITEMS // len(order))
        for class_index in np.unique(predicted):
            of_class = np.flatnonzero(predicted == class_index)
            ranked = order[np.argsort(-scores[order, class_index], kind="stable")]
            for start in range(0, len(of_class), size):
                rows = of_class[start : start + size]
                of_rows, of_class_index = exclusion.take(rows), scores[ranked, class_index]
                with self._meter.stage("search"):
                    ranking = _take_available(ranked, of_class_index, of_rows, depth)
                if full:
                    ranking = _take_available(ranked, of_class_index, of_rows, len(ranked))
                yield rows, ranking


def _take_available(
    ranked: IntArray, scores: FloatArray, exclusion: Exclusion, depth: int
) -> Ranking:
    """Return the first `depth` images of one ranking that are not excluded for each query."""
    excluded = exclusion.mask(slice(None), ranked[None])
    shape = excluded.shape
    return Ranking(
        *drop_excluded(
            np.broadcast_to(ranked, shape), np.broadcast_to(scores, shape), excluded, depth
        )
    )


def log_softmax(logits: FloatArray) -> FloatArray:
    """Compute log probabilities from logits, shape (n, classes).

    The probabilities of a confident network would round to 1 and tie.
    """
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    others = np.exp(shifted)
    # The largest is 1; added to it, the others would be lost.
    others[np.arange(len(shifted)), shifted.argmax(axis=1)] = 0
    shifted -= np.log1p(others.sum(axis=1, keepdims=True))
    log_probabilities: FloatArray = shifted.astype(np.float32)
    return log_probabilities
