"""Feature extraction: decode ahead, embed the images that are missing, store concurrently."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from outliers_bench.data.decode import DECODER
from outliers_bench.data.prefetch import AHEAD, Decoder, first_readable, none_readable
from outliers_bench.engines import quantize
from outliers_bench.engines.batches import SizedStream
from outliers_bench.engines.options import Engine
from outliers_bench.models import precision
from outliers_bench.models.model import Describer
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import status, track
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.store.features import FeatureStore, Space, Vector, file_stem
from outliers_bench.store.writer import Writer
from outliers_bench.types import RGB, Embeddings, ImageSet, LeftOut, Reason

_ADD_BLOCK = 256  # vectors in memory at once


@dataclass
class Features:
    """Features of one model, computed once, stored, and loaded as matrices."""

    extractor: Describer
    engine: Engine
    cache: Path  # directory of stored features and converted models
    meter: Meter
    dtype: str = "<f4"  # of the features in the store
    stage: str = "embed"  # name in times, and in progress bars without `bar`
    bar: str = ""

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store the features of the images that are not stored yet.

        Returns
        -------
        dict of bytes to LeftOut
            Content digest of each image that cannot be decoded, with the reason.
        """
        inaccessible: dict[bytes, Reason] = {}
        network = precision.unquantized(self.extractor, self.engine, self.cache)
        if len(images) and network is not None:
            with self.meter.stage(self.stage), status(f"quantizing {network.name}"):
                quantize.quantize_or_load(network, self.cache, lambda: self._calibration(images))
        with self._store() as store:
            known = store.known(images.digests)
            missing = images.without(known)
            if len(missing):
                with self.meter.stage(self.stage):
                    inaccessible = self._embed(missing)
            self.meter.images_per_second = store.images_per_second(self._how)
            reasons = store.unreadable(images.digests) | inaccessible
        usable = len(images) - len(reasons)
        self.meter.features_reused = len(known - reasons.keys())
        self.meter.features_computed = usable - self.meter.features_reused
        names = dict(zip(images.digests, images.names, strict=True))
        return {digest: LeftOut(names[digest], *reason) for digest, reason in reasons.items()}

    def load(self, images: ImageSet) -> Embeddings:
        """Load the features of images that were passed to `compute`."""
        with self._store() as store, self.meter.stage("read"):
            return Embeddings(images, store.matrix(images.digests))

    def fit(
        self, part: ImageSet, images: ImageSet, observer: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Do nothing: the model learns nothing from the photos."""

    def missing(self, images: ImageSet) -> ImageSet:
        """Return the images whose features are not stored."""
        with self._store() as store:
            return images.without(store.known(images.digests))

    def add(self, pairs: Iterable[tuple[bytes, Vector]]) -> None:
        """Store features that were computed elsewhere, by digest."""
        remaining = iter(pairs)
        with self._store() as store:
            while block := list(islice(remaining, _ADD_BLOCK)):
                store.add(block)

    def identity(self) -> str:
        """Return a name that no other features of the same photos share."""
        return file_stem(self._space())

    def empty(self, images: ImageSet) -> set[bytes]:
        """Return the digests of the images whose features are empty, such as no keypoints."""
        with self._store() as store:
            return store.empty(images.digests)

    def nbytes(self, images: ImageSet) -> int:
        """Return the size in bytes of the images' features in the store."""
        with self._store() as store:
            return store.nbytes(images.digests)

    def get(self, images: ImageSet) -> dict[bytes, Vector]:
        """Load features as they are stored, by digest, of images that were passed to `compute`."""
        with self._store() as store, self.meter.stage("read"):
            return store.get(images.digests)

    @property
    def _how(self) -> str:
        # Throughput is comparable only under the same conditions.
        engine = self.engine
        return f"{engine.kind.name}, batch {engine.batch_size}, {platform.node()}"

    def _store(self) -> FeatureStore:
        return FeatureStore(
            self.cache / "features", self._space(), self.extractor.dimensions, self.dtype
        )

    def _space(self) -> Space:
        numbers = precision.precision_space(self.extractor, self.engine, self.cache)
        return {**self.extractor.space(), "decoder": DECODER, **numbers}

    def _calibration(self, images: ImageSet) -> list[RGB]:
        """Sort by content, so that the same photos under other names give the same model."""
        rows = sorted(range(len(images)), key=images.digests.__getitem__)
        return first_readable(
            images.take(rows),
            self.extractor.prepare,
            quantize.CALIBRATION,
            side=self.extractor.side,
        )

    def _embed(self, missing: ImageSet) -> dict[bytes, Reason]:
        """Embed and store; return the images that could not be opened, with the reason."""
        model = self.extractor
        decoder = Decoder(missing, model.prepare, side=model.side)
        with closing(iter(decoder)) as decoded:
            first: list[tuple[bytes, RGB]] = []

            def sample() -> list[RGB]:
                first.extend(islice(decoded, quantize.SAMPLE - len(first)))
                if not first:
                    raise none_readable(missing, decoder.inaccessible)
                return [image for _, image in first]

            with status(f"loading {model.name}"):
                embedder = model.embedder(self.engine, self.cache, sample)
                # This may tune the batch size, whose time does not count as embedding time.
                stream = embedder(SizedStream(chain(first, decoded), len(missing)))
            facts: dict[str, float] = getattr(embedder, "facts", {})
            # Decode one batch while another is computed.
            decoder.ahead = max(AHEAD, 2 * int(facts.get("batch_size", 1)))
            with Writer(self._store, decoder.pop_undecodable, how=self._how) as writer:
                for digest, vector in track(
                    stream, stage=self.bar or self.stage, total=len(missing)
                ):
                    writer.add(digest, vector)
        self.meter.add("decode", decoder.seconds)
        self.meter.counts |= {f"engine_{name}": fact for name, fact in facts.items()}
        return decoder.inaccessible
