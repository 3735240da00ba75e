"""Ranking by global embeddings: one vector per image, reduced, searched, re-ranked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.config.schema import Config
from outliers_bench.errors import BenchError
from outliers_bench.features.embedding_source import EmbeddingSource
from outliers_bench.keypoints.models import Spatial
from outliers_bench.result import Result
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.retrieval.recall import recall_at_10
from outliers_bench.retrieval.reduction.cache import fit_or_load
from outliers_bench.retrieval.reduction.reducer import Projection
from outliers_bench.retrieval.search import GallerySearch, put_blanks_last, tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import FloatArray, ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image

    from outliers_bench.methods.spatial import SpatialRerank


class Embedding:
    """Rank the gallery by the similarity of embeddings.

    Parameters
    ----------
    config : Config
        Reduction, index, re-ranking, cache and seed.
    vectors : EmbeddingSource
        The embeddings.
    meter : Meter
        Records times, counts and sizes.
    """

    def __init__(self, config: Config, vectors: EmbeddingSource, meter: Meter) -> None:
        self._config = config
        self._vectors = vectors
        self._meter = meter
        self._dimensions: int | None = None  # if known only after fitting
        self._projection: Projection | None = None
        self._spatial: SpatialRerank | None = None
        if isinstance(config.rerank, Spatial):
            from outliers_bench.methods.spatial import SpatialRerank

            self._spatial = SpatialRerank(config.rerank, config.cache.path, meter)

    def check(self, split: Split) -> None:
        """Reject a model, re-ranking or reduction that does not fit the split."""
        config = self._config
        config.model.check_split(split)
        config.rerank.check_search(config.index, split.exclusion)
        reducer, part = self._config.reducer, fitting_part(split)
        if reducer.needs_labels and (part is split.gallery or part.labels is None):
            raise BenchError(
                f"reduce={reducer.name} learns from the labels of a train part, and {split.name} "
                "has none; use pca.n"
            )
        reducer.check_fit(
            n_fit=len(part),
            dimensions=self._dimensions or config.model.dimensions_on(split.train) or len(part),
            fitted_on="gallery" if part is split.gallery else "train",
        )
        if part.labels is not None and reducer.needs_labels:
            reducer.check_labels(part.labels)

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store the features of all images; see `Method.extract`."""
        unreadable = self._vectors.compute(images)
        if self._spatial is not None:
            unreadable |= self._spatial.extract(images)
        return unreadable

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Train the model and fit the reduction, if there are any; see `Method.fit`."""
        part, config = fitting_part(split), self._config
        config.model.check_split(split)  # again, without the unreadable images
        with self._meter.stage("fit"):
            self._vectors.fit(part, split.images, observer)
            self._meter.counts |= config.model.diagnostics(split)
            if config.reducer.active:
                if config.model.dimensions_on(split.train) is None:
                    self._dimensions = self._vectors.load(part.take([0])).shape[1]
                self.check(split)
                self._projection = fit_or_load(
                    config.reducer,
                    part,
                    labels=part.labels,
                    vectors_of=f"{self._vectors.identity()} l2={config.l2.before_reduction}",
                    load=lambda: self._load_normalized(part),
                    cache=config.cache.path,
                )

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        gallery = self._load_reduced(split.gallery)
        queries = gallery if split.is_one_set else self._load_reduced(split.query)
        self._meter.dimensions = gallery.shape[1]
        order = tie_order(split.gallery.digests, self._config.seed)
        search = GallerySearch(
            gallery,
            index=self._config.index,
            order=order,
            cache=self._config.cache.path,
            meter=self._meter,
        )
        blank = self._vectors.blank(split.query_and_gallery)
        blank_queries, blank_gallery = (
            np.array([digest in blank for digest in part.digests])
            for part in (split.query, split.gallery)
        )
        # Blank images are moved behind all others below, so that as many more are retrieved.
        shortlist = self._config.rerank.depth
        exclusion = split.exclusion
        search_depth = exclusion.max_depth
        if shortlist is not None:
            search_depth = min(max(depth, shortlist) + int(blank_gallery.sum()), search_depth)
        ranking = self._config.rerank.rank(search, queries, search_depth, exclusion=exclusion)
        self._meter.recall_at_10 = recall_at_10(
            search, queries, depth=search_depth, exclusion=exclusion
        )
        if blank:
            ranking = put_blanks_last(
                ranking, blank_queries, blank_gallery, order, exclusion=exclusion
            )
        if self._spatial is not None:
            ranking = self._spatial.rerank(ranking, split)
        # Copied, so that the memory of the deeper ranking is freed.
        return Ranking(ranking.indices[:, :depth].copy(), ranking.scores[:, :depth].copy())

    def match_sheets(self, result: Result) -> dict[str, Image]:
        """Draw the matches of a spatial re-ranking; see `Method.match_sheets`."""
        if self._spatial is None:
            return {}
        sheets = self._config.contact_sheets
        return self._spatial.match_sheets(result, queries=sheets.queries, seed=self._config.seed)

    def _load_normalized(self, images: ImageSet) -> FloatArray:
        vectors = self._vectors.load(images)
        return l2_normalize(vectors) if self._config.l2.before_reduction else vectors

    def _load_reduced(self, images: ImageSet) -> FloatArray:
        return self._reduce(self._vectors.load(images))

    def _reduce(self, vectors: FloatArray) -> FloatArray:
        """Normalize and project stored embeddings for the search."""
        if self._config.l2.before_reduction:
            vectors = l2_normalize(vectors)
        if self._projection is not None:
            vectors = self._projection(vectors)
        return l2_normalize(vectors) if self._config.l2.after_reduction else vectors


def fitting_part(split: Split) -> ImageSet:
    """Return the images to fit on: train, or the gallery if there is none; never the queries."""
    return split.train if len(split.train) else split.gallery
