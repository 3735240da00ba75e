"""Global embeddings: a vector an image, reduced, searched by an index, looked at again."""

from __future__ import annotations

import logging
from collections.abc import Callable
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

_log = logging.getLogger(__name__)
ALIKE = 0.5  # mean cosine with float32's embeddings below which something has gone wrong


class Embedding:
    """Rank by similarity of embeddings.

    Parameters
    ----------
    config : Config
        Reduction, index, re-ranking, cache and seed.
    vectors : Vectors
        The embeddings.
    meter : Meter
        Takes down times, counts and sizes.
    in_f32 : callable, optional
        Gives the same embeddings in float32, where the run's are not: what that costs is measured.
    member : str
        Which member of an ensemble it is, if it is one.
    """

    def __init__(
        self,
        config: Config,
        vectors: EmbeddingSource,
        meter: Meter,
        *,
        in_f32: Callable[[], EmbeddingSource] | None = None,
        member: str = "",
    ) -> None:
        self._in_f32 = in_f32
        self._member = member
        self._config = config
        self._vectors = vectors
        self._meter = meter
        self._length: int | None = None  # of the vectors, where only learning tells
        self._projection: Projection | None = None
        self._spatial: SpatialRerank | None = None
        if isinstance(config.rerank, Spatial):
            from outliers_bench.methods.spatial import SpatialRerank

            self._spatial = SpatialRerank(config.rerank, config.cache.path, meter)

    def check(self, split: Split) -> None:
        """Refuse a reduction that this split cannot fit."""
        config = self._config
        config.model.check_split(split)
        config.rerank.check_search(config.index, leave_one_out=split.leave_one_out)
        reducer, part = self._config.reducer, fitting_part(split)
        if reducer.needs_labels and (part is split.gallery or part.labels is None):
            raise BenchError(
                f"reduce={reducer.name} learns from the labels of a train part, and {split.name} "
                "has none; use pca.n"
            )
        reducer.check_fit(
            n_fit=len(part),
            dimensions=self._length or config.model.dimensions_on(split.train) or len(part),
            fitted_on="gallery" if part is split.gallery else "train",
        )
        if part.labels is not None and reducer.needs_labels:
            reducer.check_labels(part.labels)

    def extract(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that the features of all images are stored; see `Method.extract`."""
        unreadable = self._vectors.compute(images, commit=commit)
        if self._spatial is not None:
            unreadable |= self._spatial.extract(images, commit=commit)
        return unreadable

    def fit(self, split: Split, watch: TrainingObserver = NULL_OBSERVER) -> None:
        """Learn what the vectors need, and fit the reduction, if one is asked for."""
        part, config = fitting_part(split), self._config
        config.model.check_split(split)  # again: unreadable images may have shrunk it
        with self._meter.stage("fit"):
            self._vectors.fit(part, split.images, watch)
            self._meter.counts |= config.model.diagnostics(split)
            if config.reducer.active:
                if config.model.dimensions_on(split.train) is None:
                    self._length = self._vectors.load(part.take([0])).shape[1]
                self.check(split)
                self._projection = fit_or_load(
                    config.reducer,
                    part,
                    labels=part.labels,
                    vectors_of=f"{self._vectors.identity()} l2={config.l2.before_reduction}",
                    load=lambda: self._loaded(part),
                    cache=config.cache.path,
                )

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        gallery = self._reduced(split.gallery)
        queries = gallery if split.leave_one_out else self._reduced(split.query)
        self._meter.dimensions = gallery.shape[1]
        order = tie_order(split.gallery.digests, self._config.seed)
        search = GallerySearch(
            gallery,
            index=self._config.index,
            order=order,
            leave_one_out=split.leave_one_out,
            cache=self._config.cache.path,
            meter=self._meter,
        )
        blank = self._vectors.blank(split.query_and_gallery)
        asked, images = (
            np.array([digest in blank for digest in part.digests])
            for part in (split.query, split.gallery)
        )
        # Blank images will be moved behind all others, so that many more are fetched.
        looked_at = self._config.rerank.depth
        deep = search.max_depth if looked_at is None else max(depth, looked_at) + int(images.sum())
        deep = min(deep, search.max_depth)
        ranking = self._config.rerank.rank(search, queries, deep)
        self._meter.recall_at_10 = recall_at_10(search, queries, depth=deep)
        if blank:
            ranking = put_blanks_last(
                ranking, asked, images, order, leave_one_out=split.leave_one_out
            )
        if self._spatial is not None:
            ranking = self._spatial.rerank(ranking, split)
        self._compare_with_f32(split)
        # Copied, so that what is deeper is given back.
        return Ranking(ranking.indices[:, :depth].copy(), ranking.scores[:, :depth].copy())

    def pictures(self, result: Result) -> dict[str, Image]:
        """The matches of a spatial re-ranking; nothing otherwise."""
        if self._spatial is None:
            return {}
        sheets = self._config.contact_sheets
        return self._spatial.pictures(result, queries=sheets.queries, seed=self._config.seed)

    def _compare_with_f32(self, split: Split) -> None:
        """Take down what the precision costs, where it costs something."""
        if self._in_f32 is None:
            return
        from outliers_bench.methods.precision_cost import precision_cost

        with self._meter.stage("precision"):
            cost = precision_cost(
                split,
                self._vectors,
                self._in_f32(),
                reduced=self._projected,
                metric=self._config.index.metric,
                seed=self._config.seed,
                label=self._member,
            )
        self._meter.counts |= cost
        agreement = min((cost[name] for name in cost if name.endswith("cosine_mean")), default=1.0)
        if agreement < ALIKE:
            _log.warning(
                "%s: its embeddings have a mean cosine of %.2f with float32's, so that the figures "
                "say little of the model; take engine.precision=f32",
                self._member or self._config.model.name,
                agreement,
            )

    def _loaded(self, images: ImageSet) -> FloatArray:
        vectors = self._vectors.load(images)
        return l2_normalize(vectors) if self._config.l2.before_reduction else vectors

    def _reduced(self, images: ImageSet) -> FloatArray:
        return self._projected(self._vectors.load(images))

    def _projected(self, vectors: FloatArray) -> FloatArray:
        """What is searched of embeddings as they are stored."""
        if self._config.l2.before_reduction:
            vectors = l2_normalize(vectors)
        if self._projection is not None:
            vectors = self._projection(vectors)
        return l2_normalize(vectors) if self._config.l2.after_reduction else vectors


def fitting_part(split: Split) -> ImageSet:
    """What may be learned from: train, or the gallery where there is none; never the queries."""
    return split.train if len(split.train) else split.gallery
