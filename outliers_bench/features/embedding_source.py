"""The interface between embeddings and the methods that search them."""

from __future__ import annotations

from typing import Protocol

from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import Embeddings, ImageSet, LeftOut


class EmbeddingSource(Protocol):
    """One embedding per image: `Features` of a network, aggregated keypoints, or an ensemble."""

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store what takes long, unless it is stored already; see `Method.extract`."""
        ...

    def fit(
        self, part: ImageSet, images: ImageSet, observer: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Learn from `part` what the vectors of all `images` need; report progress."""
        ...

    def load(self, images: ImageSet) -> Embeddings:
        """Return the embeddings of images that were passed to `compute` and `fit`."""
        ...

    def identity(self) -> str:
        """Return a name that no other vectors of the same photos share; available after `fit`."""
        ...
