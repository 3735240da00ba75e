"""Embeddings averaged over test-time views, each view stored as its own feature space."""

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
from outliers_bench.types import RGB, Embeddings, ImageSet, LeftOut


def build_features(
    extractor: Extractor, engine: Engine, cache: Path, meter: Meter
) -> Features | ViewAveragedFeatures:
    """Return the features of a model, averaged over its test-time views if there are several."""
    kind = Features if extractor.tta.plain else ViewAveragedFeatures
    return kind(extractor, engine, cache, meter)


class ViewAveragedFeatures:
    """Means of L2-normalized embeddings over views, L2-normalized again.

    Each view is stored separately. The plain view is therefore shared with runs without test-time
    augmentation, a scale with runs of that image size, and a run that is killed loses no finished
    view.

    Counts of features add up over views; the throughput is that of photos through all views.
    """

    def __init__(self, extractor: Extractor, engine: Engine, cache: Path, meter: Meter) -> None:
        self._meter = meter
        self._dimensions = extractor.dimensions
        self._name = extractor.name
        views = extractor.tta.of(extractor.image_size)
        self._embedders: dict[int, Embedder] = {}
        self._view_meter = Meter()  # each view would overwrite the run's counts
        self._views = [
            Features(
                ViewDescriber(
                    extractor,
                    view,
                    name=f"{extractor.name} {view}, view {i} of {len(views)}",
                    embedders=self._embedders,
                ),
                engine,
                cache,
                self._view_meter,
                bar=f"embed {i}/{len(views)}",
            )
            for i, view in enumerate(views, 1)
        ]

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store all views that are not stored yet; see `Features.compute`."""
        unreadable: dict[bytes, LeftOut] = {}
        for view in self._views:
            unreadable |= view.compute(images.without(set(unreadable)))
            self._meter.absorb(self._view_meter)
        self._embedders.clear()
        return unreadable

    def load(self, images: ImageSet) -> Embeddings:
        """Load the embeddings: of unit length, or zero if all views are zero."""
        total = np.zeros((len(images), self._dimensions), dtype=np.float32)
        for view in self._views:
            total += l2_normalize(view.load(images).matrix)
            self._meter.absorb(self._view_meter)
        return Embeddings(images, l2_normalize(total))

    def fit(
        self, part: ImageSet, images: ImageSet, observer: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Do nothing: the model learns nothing from the photos."""

    def identity(self) -> str:
        """Return a name that no other features of the same photos share."""
        identities = {f"view {i}": view.identity() for i, view in enumerate(self._views)}
        return file_stem({"architecture": f"{self._name} views", **identities})


class ViewDescriber:
    """A `Describer` of one view of each photo.

    `embedders` has the last embedder by its size, for the next view of that size: loading a network
    is slow.
    """

    def __init__(
        self, extractor: Extractor, view: View, *, name: str, embedders: dict[int, Embedder]
    ) -> None:
        self.name = name
        self.extractor = replace(extractor, image_size=view.size)
        self._before_crop = replace(extractor, image_size=view.resized_size)
        self._view = view
        self._embedders = embedders

    @property
    def dimensions(self) -> int:
        """Length of the vectors."""
        return self.extractor.dimensions

    @property
    def side(self) -> int | None:
        """Minimum side in pixels of a decoded photo, before cropping."""
        return self._before_crop.side

    def space(self) -> Space:
        """Return the model's feature space at that size, with crop and flip if there are any."""
        space = self.extractor.space()
        if self._view.crop is not Crop.whole:
            space["crop"] = f"{self._view.crop.name} of {self._view.resized_size}"
        if self._view.flip:
            space["flip"] = "left to right"
        return space

    def prepare(self, image: RGB) -> RGB:
        """Resize a decoded image, crop and flip it; called in several threads."""
        return self._view.crop_image(self._before_crop.prepare(image))

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Load the network, which all crops and flips of a size share."""
        if self._view.size not in self._embedders:
            self._embedders.clear()  # two large networks may not fit into memory together
            self._embedders[self._view.size] = self.extractor.embedder(engine, cache, sample)
        return self._embedders[self._view.size]
