"""Global embeddings: a vector an image, reduced, searched by an index."""

from __future__ import annotations

from collections.abc import Callable

from outliers_bench.config import Config
from outliers_bench.features.extract import Features
from outliers_bench.measure import Meter
from outliers_bench.retrieval.reduce import Projection, check_pca
from outliers_bench.retrieval.search import rank, tie_order
from outliers_bench.types import FloatArray, ImageSet, LeftOut, Ranking, Split


class Embedding:
    """Rank by similarity of embeddings.

    Parameters
    ----------
    config : Config
        Model, PCA, index, engine, cache and seed.
    meter : Meter
        Takes down times, counts and sizes.
    """

    def __init__(self, config: Config, meter: Meter) -> None:
        self._config = config
        self._meter = meter
        self._features = Features(config.model, config.engine, config.cache.path, meter)
        self._projection: Projection | None = None

    def check(self, split: Split) -> None:
        """Refuse a PCA that this split cannot fit."""
        part = fitting_part(split)
        check_pca(
            self._config.pca,
            n_fit=len(part),
            dimensions=self._config.model.dimensions,
            fitted_on="gallery" if part is split.gallery else "train",
        )

    def extract(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that the features of all images are stored; see `Method.extract`."""
        return self._features.compute(images, commit=commit)

    def fit(self, split: Split) -> None:
        """Fit the PCA, if one is asked for."""
        with self._meter.stage("fit"):
            if self._config.pca.n is not None:
                self.check(split)  # again, since unreadable images may have shrunk it
                vectors = self._features.load(fitting_part(split))
                self._projection = Projection(vectors, self._config.pca)

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        gallery = self._vectors(split.gallery)
        query = gallery if split.leave_one_out else self._vectors(split.query)
        self._meter.dimensions = gallery.shape[1]
        return rank(
            query,
            gallery,
            index=self._config.index,
            depth=depth,
            order=tie_order(split.gallery.digests, self._config.seed),
            leave_one_out=split.leave_one_out,
            meter=self._meter,
        )

    def _vectors(self, images: ImageSet) -> FloatArray:
        vectors = self._features.load(images)
        return vectors if self._projection is None else self._projection(vectors)


def fitting_part(split: Split) -> ImageSet:
    """What may be learned from: train, or the gallery where there is none; never the queries."""
    return split.train if len(split.train) else split.gallery
