"""Where embeddings come from, as those that search them see it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import FloatArray, ImageSet, LeftOut


class EmbeddingSource(Protocol):
    """One embedding an image: `Features` of a network, aggregated keypoints, several together."""

    def compute(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that what takes long is stored; see `Method.extract`."""
        ...

    def learn(
        self, part: ImageSet, images: ImageSet, watch: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Learn from `part` what the vectors of all `images` need, and tell how it goes."""
        ...

    def load(self, images: ImageSet) -> FloatArray:
        """The vectors, shape (n, d), rows in the order of `images`."""
        ...

    def identity(self) -> str:
        """What tells these vectors from all others of the same photos; known after `learn`."""
        ...

    def blank(self, images: ImageSet) -> set[bytes]:
        """Digests of the images in which there is nothing to compare."""
        ...
