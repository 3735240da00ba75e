"""Ranking by classification: what a query is taken for decides, not what it looks like."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.config.schema import Config
from outliers_bench.errors import BenchError
from outliers_bench.methods.warn_unused import tell_idle
from outliers_bench.result import Result
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.training.base import Layer, TrainedModel
from outliers_bench.training.embeddings import TrainedEmbeddings
from outliers_bench.types import FloatArray, ImageSet, IntArray, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image


class ClassScores:
    """Rank the gallery by the probability of the class that the query most probably is.

    What a classifier can do for retrieval: all queries that are taken for one class get the same
    ranking, and of a class that was not trained nothing is known.

    Parameters
    ----------
    config : Config
        Engine, cache and seed.
    model : Trained
        The network.
    meter : Meter
        Takes down times, counts and sizes.
    """

    def __init__(self, config: Config, model: TrainedModel, meter: Meter) -> None:
        self._config = config
        self._model = model
        self._meter = meter
        by_class = copy.copy(model)  # not by replace: it knows its backbone
        by_class.embedding = Layer.logits
        self._logits = TrainedEmbeddings(by_class, config.engine, config.cache.path, meter)

    def check(self, split: Split) -> None:
        """Refuse a split without anything to learn, and a re-ranking; tell of idle options."""
        self._model.check_split(split)
        if not self._model.tta.plain:
            raise BenchError(
                "model.rank_by=class_scores ranks by probabilities, which are not averaged over "
                "model.tta; leave the views out, or take model.rank_by=embedding"
            )
        if self._config.rerank.label:
            raise BenchError(
                f"rerank={self._config.rerank.name} re-ranks embeddings, and with "
                "model.rank_by=class_scores there are none; leave one of them out"
            )
        tell_idle(self._config, because="ranks by class scores, not embeddings")

    def extract(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that what the training needs is there; see `Method.extract`."""
        return self._logits.compute(images, commit=commit)

    def fit(self, split: Split, watch: TrainingObserver = NULL_OBSERVER) -> None:
        """Train the network; see `Method.fit`."""
        self._model.check_split(split)  # again: unreadable images may have shrunk it
        with self._meter.stage("fit"):
            self._logits.fit(split.train, split.images, watch)
        self._meter.counts |= self._model.diagnostics(split)

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        gallery = log_softmax(self._logits.load(split.gallery))
        queries = gallery if split.leave_one_out else log_softmax(self._logits.load(split.query))
        self._meter.dimensions = gallery.shape[1]
        self._meter.index_bytes = gallery.nbytes
        order = tie_order(split.gallery.digests, self._config.seed)
        with self._meter.stage("search"):
            taken_for = queries.argmax(axis=1)
            indices = np.empty((len(queries), depth), np.int64)
            for kind in np.unique(taken_for):
                asking = np.flatnonzero(taken_for == kind)
                ranked = order[np.argsort(-gallery[order, kind], kind="stable")]
                indices[asking] = (
                    _without_itself(ranked, asking, depth)
                    if split.leave_one_out
                    else ranked[:depth]
                )
            return Ranking(indices, gallery[indices, taken_for[:, None]])

    def pictures(self, result: Result) -> dict[str, Image]:  # noqa: ARG002
        """None of its own."""
        return {}


def log_softmax(logits: FloatArray) -> FloatArray:
    """Logarithms of the classes' probabilities, shape (n, classes).

    Probabilities themselves would round to 1 where a network is sure, and tie.
    """
    below = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    others = np.exp(below)
    others[np.arange(len(below)), below.argmax(axis=1)] = 0  # the largest is 1, and lost in it
    below -= np.log1p(others.sum(axis=1, keepdims=True))
    found: FloatArray = below.astype(np.float32)
    return found


def _without_itself(ranked: IntArray, asking: IntArray, depth: int) -> IntArray:
    """The first of one ranking for each of several items, without the item itself."""
    return np.stack([ranked[ranked != item][:depth] for item in asking])
