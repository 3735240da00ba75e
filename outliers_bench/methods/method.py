"""What every method is: it extracts what it needs, learns, and ranks."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from outliers_bench.result import Result
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image


class Method(Protocol):
    """A way to rank a gallery. Called in this order: check, extract, fit, rank."""

    def check(self, split: Split) -> None:
        """Refuse what cannot work on this split, before any image is decoded.

        Raises
        ------
        BenchError
        """
        ...

    def extract(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that the features of all images are stored.

        Parameters
        ----------
        images : ImageSet
            All that will be looked at.
        commit : callable
            To be called before anything that takes long: the last moment to refuse a run.

        Returns
        -------
        dict of bytes to LeftOut
            Content digest of each image that cannot be decoded, and why.
        """
        ...

    def fit(self, split: Split, watch: TrainingObserver = NULL_OBSERVER) -> None:
        """Learn from the train part, or from the gallery where there is none.

        Parameters
        ----------
        split : Split
            Without the images that `extract` could not read.
        watch : Watcher
            Is told how a training goes.
        """
        ...

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query, `depth` items each."""
        ...

    def pictures(self, result: Result) -> dict[str, Image]:
        """Sheets that show how it came to its ranking, by name; there need be none."""
        ...
