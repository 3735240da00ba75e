"""From images to stored features: decode ahead, embed what is missing, store beside it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path

from outliers_bench.data.decode import DECODER
from outliers_bench.data.prefetch import AHEAD, Decoder, first_readable
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
from outliers_bench.types import RGB, FloatArray, ImageSet, LeftOut

ADDED_AT_ONCE = 256


class Features:
    """The features of one model, kept in the store and handed out as matrices.

    Parameters
    ----------
    extractor : Describer
        The model.
    engine : Engine
        What computes.
    cache : Path
        Directory of stored features and converted models.
    meter : Meter
        Takes down times and counts.
    dtype : str
        Of the features' numbers in the store.
    stage : str
        What the work is called in bars and times.
    bar : str
        What it is called in the bar, where that is not the stage.
    """

    def __init__(
        self,
        extractor: Describer,
        engine: Engine,
        cache: Path,
        meter: Meter,
        *,
        dtype: str = "<f4",
        stage: str = "embed",
        bar: str = "",
    ) -> None:
        self._extractor = extractor
        self._engine = engine
        self._cache = cache
        self._meter = meter
        self._dtype = dtype
        self._stage = stage
        self._bar = bar or stage
        # Rates compare only where the same thing was measured.
        self._how = f"{engine.kind.name}, batch {engine.batch_size}, {platform.node()}"

    def compute(
        self, images: ImageSet, *, commit: Callable[[], object] = lambda: None
    ) -> dict[bytes, LeftOut]:
        """Make sure that the features of all images are stored; compute those that are not.

        Parameters
        ----------
        images : ImageSet
            What is to be embedded.
        commit : callable
            Called before the first image is embedded, if one has to be, and before a network is
            quantized; may be called twice.

        Returns
        -------
        dict of bytes to LeftOut
            Content digest of each image that cannot be decoded, and why.
        """
        inaccessible: dict[bytes, str] = {}
        ready = self._extractor, self._engine, self._cache
        if len(images) and not precision.is_ready(*ready):
            commit()
            with self._meter.stage(self._stage), status(f"quantizing {self._extractor.name}"):
                precision.make_ready(*ready, lambda: self._calibration(images))
        with self._store() as store:
            known = store.known(images.digests)
            missing = images.without(known)
            if len(missing):
                commit()
                with self._meter.stage(self._stage):
                    inaccessible = self._embed(missing)
            self._meter.images_per_second = store.images_per_second(self._how)
            reasons = store.unreadable(images.digests) | inaccessible
        usable = len(images) - len(reasons)
        self._meter.features_reused = len(known - reasons.keys())
        self._meter.features_computed = usable - self._meter.features_reused
        names = dict(zip(images.digests, images.names, strict=True))
        return {
            digest: LeftOut(names[digest], "unreadable", reason)
            for digest, reason in reasons.items()
        }

    def load(self, images: ImageSet) -> FloatArray:
        """The features of images that `compute` has seen.

        Returns
        -------
        array of float32, shape (n, d)
            Rows in the order of `images`.
        """
        with self._store() as store, self._meter.stage("read"):
            return store.matrix(images.digests)

    def learn(
        self, part: ImageSet, images: ImageSet, watch: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Nothing is learned from the photos: the model is what it is."""

    def missing(self, images: ImageSet) -> ImageSet:
        """Those images whose features are not stored."""
        with self._store() as store:
            return images.without(store.known(images.digests))

    def add(self, pairs: Iterable[tuple[bytes, Vector]]) -> None:
        """Store features that were computed elsewhere, by digest."""
        rest = iter(pairs)
        with self._store() as store:
            while some := list(islice(rest, ADDED_AT_ONCE)):
                store.add(some)

    def identity(self) -> str:
        """What tells these features from all others of the same photos."""
        return file_stem(self._space())

    def blank(self, images: ImageSet) -> set[bytes]:  # noqa: ARG002 - the same for all
        """Digests of the images that have no content: a network finds some in every one."""
        return set()

    def empty(self, images: ImageSet) -> set[bytes]:
        """Digests of the images in which nothing was found to describe."""
        with self._store() as store:
            return store.empty(images.digests)

    def nbytes(self, images: ImageSet) -> int:
        """Size of the images' features in the store."""
        with self._store() as store:
            return store.nbytes(images.digests)

    def get(self, images: ImageSet) -> dict[bytes, Vector]:
        """The features of images that `compute` has seen, as they are stored, by digest."""
        with self._store() as store, self._meter.stage("read"):
            return store.get(images.digests)

    def _store(self) -> FeatureStore:
        return FeatureStore(
            self._cache / "features", self._space(), self._extractor.dimensions, self._dtype
        )

    def _space(self) -> Space:
        numbers = precision.key(self._extractor, self._engine, self._cache)
        return {**self._extractor.space(), "decoder": DECODER, **numbers}

    def _sample(self, images: ImageSet, count: int) -> list[RGB]:
        return first_readable(images, self._extractor.prepare, count, side=self._extractor.side)

    def _calibration(self, images: ImageSet) -> list[RGB]:
        """Images by content, so that the same photos under other names give the same model."""
        rows = sorted(range(len(images)), key=images.digests.__getitem__)
        return self._sample(images.take(rows), quantize.CALIBRATION)

    def _embed(self, missing: ImageSet) -> dict[bytes, str]:
        """Embed and store; returns why the images that could not be opened were not."""
        model = self._extractor
        decoder = Decoder(missing, model.prepare, side=model.side)
        with closing(iter(decoder)) as decoded:
            with status(f"loading {model.name}"):
                embedder = model.embedder(
                    self._engine, self._cache, lambda: self._sample(missing, quantize.SAMPLE)
                )
                # Here a batch size may be measured, which is no time that the images take.
                stream = embedder(SizedStream(decoded, len(missing)))
            facts: dict[str, float] = getattr(embedder, "facts", {})
            # One batch waits while another is computed.
            decoder.ahead = max(AHEAD, 2 * int(facts.get("batch_size", 1)))
            with Writer(self._store, decoder.take_damaged, how=self._how) as writer:
                for digest, vector in track(stream, stage=self._bar, total=len(missing)):
                    writer.add(digest, vector)
        self._meter.add("decode", decoder.seconds)
        self._meter.counts |= {f"engine_{name}": fact for name, fact in facts.items()}
        return decoder.inaccessible
