"""Base of the retrieval methods: check, extract, fit, index; and the search of a gallery."""

from __future__ import annotations

from outliers_bench.result import Result
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import (
    RGB,
    Exclusion,
    ImageSet,
    LeftOut,
    RankedBlocks,
    Ranking,
    Split,
    join_blocks,
)


class GallerySearch:
    """Base of the galleries that are searched by a method, with any number of queries."""

    def query(self, images: ImageSet, depth: int, exclusion: Exclusion) -> Ranking:
        """Rank the gallery for every query; see `query_blocks`."""
        return join_blocks(self.query_blocks(images, depth, exclusion), len(images), depth)

    def query_blocks(
        self, images: ImageSet, depth: int, exclusion: Exclusion, *, full: bool = False
    ) -> RankedBlocks:
        """Rank the gallery for one block of queries at a time, of a size that limits the memory.

        Parameters
        ----------
        images : ImageSet
            Queries, whose features `Method.extract` has computed. Nothing is loaded twice if they
            are the gallery.
        depth : int
            Number of images to search for. A query that has fewer left has a row that ends with
            positions of -1; rankings may be deeper.
        exclusion : Exclusion
            Gallery images that are excluded for each query.
        full : bool
            Whether all other images follow, in the method's order and outside of the timing: the
            rankings have as many columns as the gallery has images.
        """
        raise NotImplementedError


class Method:
    """Base of the retrieval methods. Called in this order: check, extract, fit, index."""

    @property
    def learns_from_labels(self) -> bool:
        """True if labels of train affect rankings, so that queries may not be in train."""
        return False

    def check(self, split: Split) -> None:
        """Check the options against the split, before any image is decoded.

        Raises
        ------
        BenchError
            If the method cannot work on this split.
        """

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store the features of all images that are not stored yet.

        After `fit`, images may be added, as queries.

        Parameters
        ----------
        images : ImageSet
            All images that will be ranked or fitted on.

        Returns
        -------
        dict of bytes to LeftOut
            Content digest of each image that cannot be decoded, and the reason.
        """
        raise NotImplementedError

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Fit to the train part, or to the gallery if there is none.

        Parameters
        ----------
        split : Split
            Split without the images that `extract` could not read.
        observer : TrainingObserver
            Receives the metrics of a training.
        """

    def index(self, gallery: ImageSet) -> GallerySearch:
        """Prepare the search of a gallery, all of whose images were extracted before `fit`."""
        raise NotImplementedError

    def match_sheets(self, result: Result, queries: int) -> dict[str, RGB]:  # noqa: ARG002
        """Draw sheets of matched keypoints, by name; empty for methods without keypoints."""
        return {}


class ReusedIndex:
    """Index of a gallery, built again only if the gallery is another one.

    Parameters
    ----------
    method : Method
        Fitted method.
    """

    def __init__(self, method: Method) -> None:
        self._method = method
        self._digests: tuple[bytes, ...] = ()
        self._search: GallerySearch | None = None

    def __call__(self, gallery: ImageSet) -> GallerySearch:
        """Return the search of a gallery."""
        if self._search is None or gallery.digests != self._digests:
            self._search = None  # frees its memory before another one is built
            self._search, self._digests = self._method.index(gallery), gallery.digests
        return self._search
