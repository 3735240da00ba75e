"""Concatenated embeddings of several models."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outliers_bench.ensemble.options import Ensemble
from outliers_bench.ensemble.tuning import relevance, tune_weights
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import Embeddings, ImageSet, LeftOut


@dataclass
class ConcatenatedEmbeddings:
    """Concatenation of normalized embeddings, each scaled by the square root of its weight.

    The inner product of two of them is the weighted mean of the members' cosines, and so is their
    cosine if no member's embedding is zero for either photo.
    """

    options: Ensemble
    members: Sequence[tuple[EmbeddingSource, Meter]]  # with the meter of each member's costs
    meter: Meter

    def __post_init__(self) -> None:
        self._weights = self.options.weights

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store every member's missing embeddings; see `Features.compute`."""
        unreadable: dict[bytes, LeftOut] = {}
        for vectors, own in self.members:
            unreadable |= vectors.compute(images)
            self.meter.absorb(own)
        return unreadable

    def fit(
        self, part: ImageSet, images: ImageSet, observer: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Fit the members to `part`, and tune the weights on its labels if they are `tuned`."""
        if self._weights is None:
            with self.meter.stage("tune"):
                self._weights, map_at_r = self._tune(part)
            self.meter.counts["map_at_r_tuning"] = map_at_r
        for label, (vectors, own) in zip(self.options.labels, self.members, strict=True):
            vectors.fit(part, images, observer.for_network(label))
            self.meter.absorb(own)
        for label, weight in zip(self.options.labels, self._weights, strict=True):
            self.meter.counts[f"weight_{label}"] = weight

    def load(self, images: ImageSet) -> Embeddings:
        """Load the concatenated embeddings; an image is blank if it is to every member."""
        if self._weights is None:
            raise ValueError("tuned weights are not known before fit")
        matrices, blank, partly_blank = [], frozenset(images.digests), frozenset[bytes]()
        for (source, own), weight in zip(self.members, self._weights, strict=True):
            part = source.load(images)
            matrices.append(l2_normalize(part.matrix) * np.float32(np.sqrt(weight)))
            blank &= part.blank
            partly_blank |= part.blank
            self.meter.absorb(own)
        return Embeddings(images, np.hstack(matrices), blank, partly_blank)

    def identity(self) -> str:
        """Return the identities and weights of the members."""
        return json.dumps([[vectors.identity() for vectors, _ in self.members], self._weights])

    def _tune(self, part: ImageSet) -> tuple[list[float], float]:
        options = self.options
        split = options.validation_split(part, "this data set")
        cosines = []
        for vectors, _ in self.members:
            vectors.fit(split.train, split.images)
            queries, gallery = (
                l2_normalize(vectors.load(images).matrix) for images in (split.query, split.gallery)
            )
            cosines.append((queries @ gallery.T).astype(np.float64))
        order = tie_order(split.gallery.digests, options.random_seed)
        return tune_weights(cosines, relevance(split), order)
