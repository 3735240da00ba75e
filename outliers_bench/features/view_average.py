"""Embeddings averaged over test-time views, each of which is a feature space of its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder
from outliers_bench.features.extract import Features
from outliers_bench.models.model import Extractor
from outliers_bench.models.tta import Crop, View
from outliers_bench.retrieval.normalize import l2_normalize
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.store.features import Space, file_stem
from outliers_bench.types import RGB, FloatArray, ImageSet, LeftOut


def features_of(
    extractor: Extractor, engine: Engine, cache: Path, meter: Meter
) -> Features | ViewedFeatures:
    """The features of a model: its own, or averaged over the views that are asked for."""
    kind = Features if extractor.tta.plain else ViewedFeatures
    return kind(extractor, engine, cache, meter)


class ViewedFeatures:
    """Means of L2-normalized embeddings over views, L2-normalized again.

    Every view is kept in the feature store by itself. So the plain one is what a run without
    views has stored, a scale what a run with that image size has, and of a run that is killed
    no view is lost that was done.

    Parameters
    ----------
    extractor : Extractor
        The model, with its `tta`.
    engine : Engine
        What computes.
    cache : Path
        Directory of stored features and converted models.
    meter : Meter
        Takes down times and counts. Counts of features add up over views, and the rate is that
        of photos through all views.
    """

    def __init__(self, extractor: Extractor, engine: Engine, cache: Path, meter: Meter) -> None:
        self._meter = meter
        self._dimensions = extractor.dimensions
        self._name = extractor.name
        views = extractor.tta.of(extractor.image_size)
        self._ready = _LastEmbedder()
        self._of_view = Meter()  # one view after the other would overwrite the run's counts
        self._views = [
            Features(
                Seen(
                    extractor,
                    view,
                    name=f"{extractor.name} {view}, view {i} of {len(views)}",
                    ready=self._ready,
                ),
                engine,
                cache,
                self._of_view,
                bar=f"embed {i}/{len(views)}",
            )
            for i, view in enumerate(views, 1)
        ]

    def compute(
        self, images: ImageSet, *, commit: Callable[[], object] = lambda: None
    ) -> dict[bytes, LeftOut]:
        """Make sure that all views of all images are stored; see `Features.compute`."""
        unreadable: dict[bytes, LeftOut] = {}
        for view in self._views:
            unreadable |= view.compute(images.without(set(unreadable)), commit=commit)
            self._meter.absorb(self._of_view)
        self._ready.forget()
        return unreadable

    def load(self, images: ImageSet) -> FloatArray:
        """The embeddings of images that `compute` has seen.

        Returns
        -------
        array of float32, shape (n, d)
            Of unit length, or zero where all views are; rows in the order of `images`.
        """
        total = np.zeros((len(images), self._dimensions), dtype=np.float32)
        for view in self._views:
            total += l2_normalize(view.load(images))
            self._meter.absorb(self._of_view)
        return l2_normalize(total)

    def learn(
        self, part: ImageSet, images: ImageSet, watch: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Nothing is learned from the photos: the model is what it is."""

    def identity(self) -> str:
        """What tells these features from all others of the same photos."""
        of_views = {f"view {i}": view.identity() for i, view in enumerate(self._views)}
        return file_stem({"architecture": f"{self._name} views", **of_views})

    def blank(self, images: ImageSet) -> set[bytes]:  # noqa: ARG002 - the same for all
        """Digests of the images that have no content: a network finds some in every one."""
        return set()


class _LastEmbedder:
    """Keeps a network for the next view of the same size: to load it takes long."""

    def __init__(self) -> None:
        self._size = 0
        self._embedder: Embedder | None = None

    def get(self, size: int, make: Callable[[], Embedder]) -> Embedder:
        """The embedder of that size, made now if the last one had another."""
        if self._embedder is None or size != self._size:
            self.forget()  # two large networks need not fit side by side
            self._size, self._embedder = size, make()
        return self._embedder

    def forget(self) -> None:
        """Let go of the network."""
        self._embedder = None


class Seen:
    """A model that sees one view of each photo; a `Describer`.

    Parameters
    ----------
    extractor : Extractor
        The model.
    view : View
        What it sees.
    name : str
        What it is called while it is loading.
    ready : _LastEmbedder
        Shared by the views of a model.
    """

    def __init__(
        self, extractor: Extractor, view: View, *, name: str, ready: _LastEmbedder
    ) -> None:
        self.name = name
        self.extractor = replace(extractor, image_size=view.size)
        self._squeezed = replace(extractor, image_size=view.squeezed)
        self._view = view
        self._ready = ready

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return self.extractor.dimensions

    @property
    def side(self) -> int | None:
        """Pixels that a decoded photo's sides must at least have, before a crop is cut."""
        return self._squeezed.side

    def space(self) -> Space:
        """The model's at that size, and of crop and flip what is not plain."""
        space = self.extractor.space()
        if self._view.crop is not Crop.whole:
            space["crop"] = f"{self._view.crop.name} of {self._view.squeezed}"
        if self._view.flip:
            space["flip"] = "left to right"
        return space

    def prepare(self, image: RGB) -> RGB:
        """Squeeze a decoded image, cut, mirror; called in several threads."""
        return self._view.cut(self._squeezed.prepare(image))

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Get ready; crops and mirrored ones are seen by the same network."""
        return self._ready.get(
            self._view.size, lambda: self.extractor.embedder(engine, cache, sample)
        )
