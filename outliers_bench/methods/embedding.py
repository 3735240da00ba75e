"""Ranking by global embeddings: one vector per image, reduced, searched, re-ranked."""

from __future__ import annotations

from outliers_bench.errors import BenchError
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.keypoints.models import Spatial
from outliers_bench.methods.method import GallerySearch, Method
from outliers_bench.methods.parts import EmbeddingSearch, Workspace
from outliers_bench.methods.spatial import SpatialRerank
from outliers_bench.models.model import Model
from outliers_bench.result import Result
from outliers_bench.retrieval.blanks import put_blanks_last
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.reduction.cache import fit_or_load
from outliers_bench.retrieval.reduction.reducer import Projection
from outliers_bench.retrieval.search import VectorSearch, tie_order
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import (
    RGB,
    BoolArray,
    Exclusion,
    FloatArray,
    ImageSet,
    LeftOut,
    RankedBlocks,
    Split,
)


class EmbeddingMethod(Method):
    """Rank the gallery by the similarity of a model's embeddings, which `source` provides."""

    def __init__(
        self,
        model: Model,
        source: EmbeddingSource,
        search: EmbeddingSearch,
        workspace: Workspace,
    ) -> None:
        self._model = model
        self.source = source
        self.search = search
        self.workspace = workspace
        self._meter = workspace.meter
        self._dimensions: int | None = None  # if known only after fitting
        self._projection: Projection | None = None
        self._without_keypoints: set[bytes] = set()  # no other photos are blank
        self.spatial: SpatialRerank | None = None
        if isinstance(search.rerank, Spatial):
            self.spatial = SpatialRerank(search.rerank, workspace.cache, workspace.meter)

    @property
    def learns_from_labels(self) -> bool:
        """True if the model, or the reduction, learns from labels; see `Method`."""
        reducer = self.search.reducer
        return self._model.learns_from_labels or (reducer.active and reducer.needs_labels)

    def check(self, split: Split) -> None:
        """Reject a model, re-ranking or reduction that does not fit the split."""
        self._model.check_split(split)
        self.search.rerank.check_search(self.search.index, split.exclusion)
        reducer, part = self.search.reducer, fitting_part(split)
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
        unreadable = self.source.compute(images)
        if self.spatial is not None:
            unreadable |= self.spatial.extract(images)
        return unreadable

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Train the model and fit the reduction, if there are any; see `Method.fit`."""
        part, reducer, l2 = fitting_part(split), self.search.reducer, self.search.l2
        self._model.check_split(split)  # again, without the unreadable images
        with self._meter.stage("fit"):
            self.source.fit(part, split.images, observer)
            self._meter.counts |= self._model.diagnostics(split)
            if reducer.active:
                if self._model.dimensions_on(split.train) is None:
                    self._dimensions = self.source.load(part.take([0])).matrix.shape[1]
                self.check(split)
                self._projection = fit_or_load(
                    reducer,
                    part,
                    labels=part.labels,
                    vectors_of=f"{self.source.identity()} l2={l2.before_reduction}",
                    load=lambda: self._normalize(self.source.load(part).matrix),
                    cache=self.workspace.cache,
                )

    def index(self, gallery: ImageSet) -> EmbeddingGallery:
        """Load the gallery; the index is built by the first query; see `Method.index`."""
        return EmbeddingGallery(self, gallery)

    def match_sheets(self, result: Result, queries: int) -> dict[str, RGB]:
        """Draw the matches of a spatial re-ranking; see `Method.match_sheets`."""
        if self.spatial is None:
            return {}
        return self.spatial.match_sheets(result, queries=queries, seed=self.workspace.seed)

    def load(self, images: ImageSet) -> tuple[FloatArray, BoolArray]:
        """Load embeddings as they are searched, shape (n, d), and which are blank, shape (n,)."""
        embeddings = self.source.load(images)
        vectors, is_blank = embeddings.matrix, embeddings.is_blank
        if blank := embeddings.blank | embeddings.partly_blank:
            self._without_keypoints |= blank
            self._meter.counts["images_without_keypoints"] = len(self._without_keypoints)
        del embeddings  # frees its matrix as soon as there is another
        vectors = self._normalize(vectors)
        if self._projection is not None:
            vectors = self._projection(vectors)
        vectors = l2_normalize(vectors) if self.search.l2.after_reduction else vectors
        return vectors, is_blank

    def _normalize(self, vectors: FloatArray) -> FloatArray:
        return l2_normalize(vectors) if self.search.l2.before_reduction else vectors


class EmbeddingGallery(GallerySearch):
    """Gallery that is searched by embeddings; see `GallerySearch`."""

    def __init__(self, method: EmbeddingMethod, gallery: ImageSet) -> None:
        self._method = method
        self._gallery = gallery
        self._matrix, self._blank = method.load(gallery)
        self._vectors = VectorSearch(
            self._matrix,
            index=method.search.index,
            order=tie_order(gallery.digests, method.workspace.seed),
            cache=method.workspace.cache,
            meter=method.workspace.meter,
        )
        method.workspace.meter.dimensions = self._matrix.shape[1]
        self._recall_measured = False

    def query_blocks(
        self, images: ImageSet, depth: int, exclusion: Exclusion, *, full: bool = False
    ) -> RankedBlocks:
        """Rank the gallery for blocks of queries; see `GallerySearch.query_blocks`."""
        method, rerank, spatial = self._method, self._method.search.rerank, self._method.spatial
        rerank.check_search(method.search.index, exclusion)  # perhaps of another split
        is_gallery = images.digests == self._gallery.digests
        queries, blank_queries = (self._matrix, self._blank) if is_gallery else method.load(images)
        # Blank images are moved behind all others below, so that as many more are retrieved.
        shortlist = rerank.depth
        search_depth = exclusion.max_depth
        if shortlist is not None:
            search_depth = min(max(depth, shortlist) + int(self._blank.sum()), search_depth)
        blocks = rerank.rank_blocks(
            self._vectors, queries, search_depth, exclusion=exclusion, full=full
        )
        if blank_queries.any() or self._blank.any():
            blocks = self._put_blanks_last(blocks, blank_queries, exclusion)
        if spatial is not None:
            blocks = spatial.rerank_blocks(blocks, images, self._gallery)
        yield from blocks
        if not self._recall_measured:  # it searches exhaustively: too slow for every query
            self._recall_measured = True
            method.workspace.meter.recall_at_10 = recall_at_10(
                self._vectors, queries, depth=search_depth, exclusion=exclusion
            )

    def _put_blanks_last(
        self, blocks: RankedBlocks, blank_queries: BoolArray, exclusion: Exclusion
    ) -> RankedBlocks:
        for rows, ranking in blocks:
            blank, order = blank_queries[rows], self._vectors.order
            of_block = exclusion.take(rows)
            yield rows, put_blanks_last(ranking, blank, self._blank, order, exclusion=of_block)


def fitting_part(split: Split) -> ImageSet:
    """Return the images to fit on: train, or the gallery if there is none; never the queries."""
    return split.train if len(split.train) else split.gallery
