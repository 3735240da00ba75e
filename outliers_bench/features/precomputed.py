"""Embeddings that another program computed, as a source of vectors."""

from __future__ import annotations

from dataclasses import dataclass

from outliers_bench.models.precomputed import Precomputed, rows_digest
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.store.features import file_stem
from outliers_bench.types import Embeddings, ImageSet, LeftOut


@dataclass
class PrecomputedEmbeddings:
    """Vectors of `model=embeddings`; nothing is computed or stored."""

    model: Precomputed
    meter: Meter
    rows: str = ""  # which image has which vector, after `fit`

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Return the images without a vector, such as new photos to search for."""
        rows = self.model.table.rows(images)
        self.meter.features_reused = int((rows >= 0).sum())
        place = self.model.table.place
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
        self.rows = rows_digest(self.model.table, part, images)

    def load(self, images: ImageSet) -> Embeddings:
        """Return the vectors of the file."""
        with self.meter.stage("read"):
            return self.model.table.embeddings(images)

    def identity(self) -> str:
        """Return a name that no other vectors of the same photos share."""
        return file_stem({**self.model.space(), "rows": self.rows})
