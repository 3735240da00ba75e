"""Ranking by global embeddings: one vector per image, reduced, searched, re-ranked."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.methods.parts import EmbeddingSearch, Workspace
from outliers_bench.methods.spatial import SpatialRerank, build_spatial
from outliers_bench.models.model import Model
from outliers_bench.result import Result
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.reduction.cache import fit_or_load
from outliers_bench.retrieval.reduction.reducer import Projection
from outliers_bench.retrieval.search import VectorSearch, put_blanks_last, tie_order
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import BoolArray, Exclusion, FloatArray, ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image


class EmbeddingMethod:
    """Rank the gallery by the similarity of embeddings.

    Parameters
    ----------
    model : Model
        Options of the model.
    source : EmbeddingSource
        Its embeddings.
    search : EmbeddingSearch
        Reduction, index and re-ranking.
    workspace : Workspace
    """

    def __init__(
        self,
        model: Model,
        source: EmbeddingSource,
        search: EmbeddingSearch,
        workspace: Workspace,
    ) -> None:
        self._model = model
        self._source = source
        self._search = search
        self._workspace = workspace
        self._meter = workspace.meter
        self._dimensions: int | None = None  # if known only after fitting
        self._projection: Projection | None = None
        self._spatial = build_spatial(search.rerank, workspace.cache, workspace.meter)

    @property
    def learns_from_labels(self) -> bool:
        """True if the model, or the reduction, learns from labels; see `Method`."""
        reducer = self._search.reducer
        return self._model.learns_from_labels or (reducer.active and reducer.needs_labels)

    def check(self, split: Split) -> None:
        """Reject a model, re-ranking or reduction that does not fit the split."""
        self._model.check_split(split)
        self._search.rerank.check_search(self._search.index, split.exclusion)
        reducer, part = self._search.reducer, fitting_part(split)
        if reducer.needs_labels and (part is split.gallery or part.labels is None):
            raise BenchError(
                f"reduce={reducer.name} learns from the labels of a train part, and {split.name} "
                "has none; use pca.n"
            )
        reducer.check_fit(
            n_fit=len(part),
            dimensions=self._dimensions or self._model.dimensions_on(split.train) or len(part),
            fitted_on="gallery" if part is split.gallery else "train",
        )
        if part.labels is not None and reducer.needs_labels:
            reducer.check_labels(part.labels)

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store the features of all images; see `Method.extract`."""
        unreadable = self._source.compute(images)
        if self._spatial is not None:
            unreadable |= self._spatial.extract(images)
        return unreadable

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Train the model and fit the reduction, if there are any; see `Method.fit`."""
        part, reducer, l2 = fitting_part(split), self._search.reducer, self._search.l2
        self._model.check_split(split)  # again, without the unreadable images
        with self._meter.stage("fit"):
            self._source.fit(part, split.images, observer)
            self._meter.counts |= self._model.diagnostics(split)
            if reducer.active:
                if self._model.dimensions_on(split.train) is None:
                    self._dimensions = self._source.load(part.take([0])).matrix.shape[1]
                self.check(split)
                self._projection = fit_or_load(
                    reducer,
                    part,
                    labels=part.labels,
                    vectors_of=f"{self._source.identity()} l2={l2.before_reduction}",
                    load=lambda: self._load_normalized(part),
                    cache=self._workspace.cache,
                )

    def index(self, gallery: ImageSet) -> EmbeddingGallery:
        """Load the gallery; the index is built by the first query; see `Method.index`."""
        return EmbeddingGallery(
            gallery,
            self._source,
            self._search,
            self._workspace,
            reduce=self._reduce,
            spatial=self._spatial,
        )

    def match_sheets(self, result: Result, queries: int) -> dict[str, Image]:
        """Draw the matches of a spatial re-ranking; see `Method.match_sheets`."""
        if self._spatial is None:
            return {}
        return self._spatial.match_sheets(result, queries=queries, seed=self._workspace.seed)

    def _load_normalized(self, images: ImageSet) -> FloatArray:
        vectors = self._source.load(images).matrix
        return l2_normalize(vectors) if self._search.l2.before_reduction else vectors

    def _reduce(self, vectors: FloatArray) -> FloatArray:
        """Normalize and project stored embeddings for the search."""
        if self._search.l2.before_reduction:
            vectors = l2_normalize(vectors)
        if self._projection is not None:
            vectors = self._projection(vectors)
        return l2_normalize(vectors) if self._search.l2.after_reduction else vectors


class EmbeddingGallery:
    """Gallery that is searched by embeddings; see `GallerySearch`.

    Parameters
    ----------
    gallery : ImageSet
    source : EmbeddingSource
        Fitted.
    search : EmbeddingSearch
    workspace : Workspace
    reduce : callable
        Normalization and reduction of embeddings of shape (n, d).
    spatial : SpatialRerank or None
        Re-ranking by keypoints, after any other.
    """

    def __init__(
        self,
        gallery: ImageSet,
        source: EmbeddingSource,
        search: EmbeddingSearch,
        workspace: Workspace,
        *,
        reduce: Callable[[FloatArray], FloatArray],
        spatial: SpatialRerank | None,
    ) -> None:
        self._gallery = gallery
        self._source = source
        self._rerank = search.rerank
        self._meter = workspace.meter
        self._reduce = reduce
        self._spatial = spatial
        embeddings = source.load(gallery)
        self._matrix, self._blank = reduce(embeddings.matrix), embeddings.is_blank
        self._vectors = VectorSearch(
            self._matrix,
            index=search.index,
            order=tie_order(gallery.digests, workspace.seed),
            cache=workspace.cache,
            meter=workspace.meter,
        )
        self._meter.dimensions = self._matrix.shape[1]
        self._recall_measured = False

    def query(self, images: ImageSet, depth: int, exclusion: Exclusion | None = None) -> Ranking:
        """Rank the gallery for every query; see `GallerySearch.query`."""
        is_gallery = images.digests == self._gallery.digests
        queries, blank_queries = self._matrix, self._blank
        if not is_gallery:
            embeddings = self._source.load(images)
            queries, blank_queries = self._reduce(embeddings.matrix), embeddings.is_blank
        exclusion = exclusion or Exclusion.nothing(len(images), len(self._gallery))
        # Blank images are moved behind all others below, so that as many more are retrieved.
        shortlist = self._rerank.depth
        search_depth = exclusion.max_depth
        if shortlist is not None:
            search_depth = min(max(depth, shortlist) + int(self._blank.sum()), search_depth)
        ranking = self._rerank.rank(self._vectors, queries, search_depth, exclusion=exclusion)
        if not self._recall_measured:  # it searches exhaustively: too slow for every query
            self._recall_measured = True
            self._meter.recall_at_10 = recall_at_10(
                self._vectors, queries, depth=search_depth, exclusion=exclusion
            )
        if blank_queries.any() or self._blank.any():
            self._count_blank(images, blank_queries)
            ranking = put_blanks_last(
                ranking, blank_queries, self._blank, self._vectors.order, exclusion=exclusion
            )
        if self._spatial is not None:
            ranking = self._spatial.rerank(ranking, images, self._gallery)
        # Copied, so that the memory of the deeper ranking is freed.
        return Ranking(ranking.indices[:, :depth].copy(), ranking.scores[:, :depth].copy())

    def _count_blank(self, images: ImageSet, blank_queries: BoolArray) -> None:
        parts = ((self._gallery, self._blank), (images, blank_queries))
        blank = {part.digests[row] for part, rows in parts for row in np.flatnonzero(rows)}
        counts, name = self._meter.counts, "images_without_keypoints"  # no other is blank
        counts[name] = max(counts.get(name, 0), len(blank))


def fitting_part(split: Split) -> ImageSet:
    """Return the images to fit on: train, or the gallery if there is none; never the queries."""
    return split.train if len(split.train) else split.gallery
