"""The embeddings of several models side by side."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence

import numpy as np

from outliers_bench.ensemble.options import Ensemble
from outliers_bench.ensemble.tuning import relevance, tuned
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import FloatArray, ImageSet, LeftOut


class ConcatenatedEmbeddings:
    """Normalized embeddings side by side, each times the root of its member's weight.

    The inner product of two of them is the weighted mean of the members' cosines, and so is their
    cosine where every member finds something in both photos.

    Parameters
    ----------
    options : Ensemble
        The members' names and weights.
    members : sequence of (Vectors, Meter)
        Where their embeddings come from, and what takes down their costs.
    meter : Meter
        The run's.
    """

    def __init__(
        self, options: Ensemble, members: Sequence[tuple[EmbeddingSource, Meter]], meter: Meter
    ) -> None:
        self._options = options
        self._members = members
        self._meter = meter
        self._weights = options.weights

    def compute(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that every member's embeddings are stored; see `Features.compute`."""
        unreadable: dict[bytes, LeftOut] = {}
        for vectors, own in self._members:
            unreadable |= vectors.compute(images, commit=commit)
            self._meter.absorb(own)
        return unreadable

    def fit(
        self, part: ImageSet, images: ImageSet, watch: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Let the members learn from `part`, and tune the weights on its labels if asked to."""
        if self._weights is None:
            with self._meter.stage("tune"):
                self._weights, reached = self._tuned(part)
            self._meter.counts["map_at_r_tuning"] = reached
        for label, (vectors, own) in zip(self._options.labels, self._members, strict=True):
            vectors.fit(part, images, watch.named(label))
            self._meter.absorb(own)
        for label, weight in zip(self._options.labels, self._weights, strict=True):
            self._meter.counts[f"weight_{label}"] = weight

    def load(self, images: ImageSet) -> FloatArray:
        """The embeddings, shape (n, sum of the members' d)."""
        if self._weights is None:
            raise ValueError("weights are known after learn")
        parts = []
        for (vectors, own), weight in zip(self._members, self._weights, strict=True):
            parts.append(l2_normalize(vectors.load(images)) * np.float32(np.sqrt(weight)))
            self._meter.absorb(own)
        return np.hstack(parts)

    def blank(self, images: ImageSet) -> set[bytes]:
        """Digests of the images that no member finds anything in."""
        found = set(images.digests)
        for vectors, own in self._members:
            found &= vectors.blank(images)
            self._meter.absorb(own)
        return found

    def identity(self) -> str:
        """The members' and their weights."""
        return json.dumps([[vectors.identity() for vectors, _ in self._members], self._weights])

    def _tuned(self, part: ImageSet) -> tuple[list[float], float]:
        options = self._options
        split = options.validation_split(part, "this data set")
        cosines = []
        for vectors, _ in self._members:
            vectors.fit(split.train, split.images)
            queries, gallery = (
                l2_normalize(vectors.load(images)) for images in (split.query, split.gallery)
            )
            cosines.append((queries @ gallery.T).astype(np.float64))
        order = tie_order(split.gallery.digests, options.random_seed)
        return tuned(cosines, relevance(split), order)
