"""Protocol of a retrieval method: check, extract, fit, rank."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from outliers_bench.result import Result
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image


class Method(Protocol):
    """Retrieval method. Called in this order: check, extract, fit, rank."""

    @property
    def learns_from_labels(self) -> bool:
        """True if labels of train affect rankings, so that queries may not be in train."""
        ...

    def check(self, split: Split) -> None:
        """Check the options against the split, before any image is decoded.

        Raises
        ------
        BenchError
            If the method cannot work on this split.
        """
        ...

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store the features of all images that are not stored yet.

        Parameters
        ----------
        images : ImageSet
            All images that will be ranked or fitted on.

        Returns
        -------
        dict of bytes to LeftOut
            Content digest of each image that cannot be decoded, and the reason.
        """
        ...

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Fit to the train part, or to the gallery if there is none.

        Parameters
        ----------
        split : Split
            Split without the images that `extract` could not read.
        observer : TrainingObserver
            Receives the metrics of a training.
        """
        ...

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the first `depth` gallery images for every query."""
        ...

    def match_sheets(self, result: Result, queries: int) -> dict[str, Image]:
        """Draw sheets of matched keypoints, by name; empty for methods without keypoints."""
        ...
