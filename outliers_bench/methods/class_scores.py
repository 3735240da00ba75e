"""Ranking by classification scores instead of embedding similarity."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.methods.parts import Workspace
from outliers_bench.result import Result
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.training.base import Layer, TrainedModel
from outliers_bench.training.embeddings import TrainedEmbeddings
from outliers_bench.types import Exclusion, FloatArray, ImageSet, IntArray, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image


class ClassScores:
    """Rank the gallery by the probability of the class predicted for the query.

    A baseline for retrieval by a classifier: all queries with the same predicted class get the same
    ranking, and classes missing from the train part are never predicted.

    Parameters
    ----------
    model : TrainedModel
        Classification network.
    workspace : Workspace
    """

    def __init__(self, model: TrainedModel, workspace: Workspace) -> None:
        self._model = model
        self._workspace = workspace
        self._meter = workspace.meter
        classifier = copy.copy(model)  # replace() would lose the backbone it has resolved
        classifier.embedding = Layer.logits
        self._logits = TrainedEmbeddings(
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
        return self._logits.compute(images)

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Train the network; see `Method.fit`."""
        self._model.check_split(split)  # again, without the unreadable images
        with self._meter.stage("fit"):
            self._logits.fit(split.train, split.images, observer)
        self._meter.counts |= self._model.diagnostics(split)

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        gallery = log_softmax(self._logits.load(split.gallery))
        queries = gallery if split.is_one_set else log_softmax(self._logits.load(split.query))
        self._meter.dimensions = gallery.shape[1]
        self._meter.index_bytes = gallery.nbytes
        exclusion, order = split.exclusion, tie_order(split.gallery.digests, self._workspace.seed)
        with self._meter.stage("search"):
            predicted = queries.argmax(axis=1)
            indices = np.empty((len(queries), depth), np.int64)
            for class_index in np.unique(predicted):
                rows = np.flatnonzero(predicted == class_index)
                ranked = order[np.argsort(-gallery[order, class_index], kind="stable")]
                indices[rows] = (
                    _exclude(ranked, exclusion.take(rows), depth)
                    if exclusion.largest
                    else ranked[:depth]
                )
            return Ranking(indices, gallery[indices, predicted[:, None]])

    def match_sheets(self, result: Result, queries: int) -> dict[str, Image]:  # noqa: ARG002
        """Return no sheets."""
        return {}


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


def _exclude(ranked: IntArray, exclusion: Exclusion, depth: int) -> IntArray:
    """Return the first `depth` items of a ranking for each query, without the excluded ones."""
    keys = exclusion.gallery_keys[ranked]
    return np.stack([ranked[keys != key][:depth] for key in exclusion.query_keys])
