"""Embeddings that another program computed, as a source of vectors."""

from __future__ import annotations

from outliers_bench.models.precomputed import Precomputed, rows_digest
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.store.features import file_stem
from outliers_bench.types import Embeddings, ImageSet, LeftOut


class PrecomputedEmbeddings:
    """Vectors of `model=embeddings`; nothing is computed or stored."""

    def __init__(self, model: Precomputed, meter: Meter) -> None:
        self._model = model
        self._meter = meter
        self._rows = ""

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Return the images without a vector, such as new photos to search for."""
        rows = self._model.table.rows(images)
        self._meter.features_reused = int((rows >= 0).sum())
        place = self._model.table.place
        return {
            digest: LeftOut(name, "unreadable", f"has no vector in {place}")
            for digest, name, row in zip(images.digests, images.names, rows, strict=True)
            if row < 0
        }

    def fit(
        self,
        part: ImageSet,
        images: ImageSet,
        observer: TrainingObserver = NULL_OBSERVER,  # noqa: ARG002 - nothing is learned
    ) -> None:
        """Note which image has which vector."""
        self._rows = rows_digest(self._model.table, part, images)

    def load(self, images: ImageSet) -> Embeddings:
        """Return the vectors of the file."""
        with self._meter.stage("read"):
            return self._model.table.embeddings(images)

    def identity(self) -> str:
        """Return a name that no other vectors of the same photos share."""
        return file_stem({**self._model.space(), "rows": self._rows})
