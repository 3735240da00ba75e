"""From images to stored features: decode ahead, embed what is missing, store beside it."""

from __future__ import annotations

import platform
from collections.abc import Callable, Iterable
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Protocol

from outliers_bench.data.decode import DECODER
from outliers_bench.features import precision
from outliers_bench.features.batches import Counted
from outliers_bench.features.decoder import Decoder, first_readable
from outliers_bench.features.engine import Engine
from outliers_bench.features.extractor import Embedder, Space
from outliers_bench.features.store import FeatureStore, Vector, file_stem
from outliers_bench.features.writer import Writer
from outliers_bench.measure import Meter
from outliers_bench.progress import status, track
from outliers_bench.training.watch import NOBODY, Watcher
from outliers_bench.types import RGB, FloatArray, ImageSet, LeftOut

ADDED_AT_ONCE = 256
SAMPLE = 8  # images on which a fresh conversion is checked


class Describer(Protocol):
    """What turns images into features that can be stored: an `Extractor`, or a detector."""

    @property
    def name(self) -> str:
        """What it is called while it is loading."""
        ...

    @property
    def dimensions(self) -> int | None:
        """Length of the vectors; None where each image has its own."""
        ...

    @property
    def side(self) -> int | None:
        """Pixels that a decoded image's sides must at least have; None: all that it has."""
        ...

    def space(self) -> Space:
        """Everything that the numbers depend on."""
        ...

    def prepare(self, image: RGB) -> RGB:
        """What is made of a decoded image before it is described; called in several threads."""
        ...

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Get ready; see `Extractor.embedder`."""
        ...


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
            Called before the first image is embedded, if one has to be.

        Returns
        -------
        dict of bytes to LeftOut
            Content digest of each image that cannot be decoded, and why.
        """
        inaccessible: dict[bytes, str] = {}
        precision.make_ready(
            self._extractor, self._engine, self._cache, lambda: self._calibration(images)
        )
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

    def learn(self, part: ImageSet, images: ImageSet, watch: Watcher = NOBODY) -> None:
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
        return self._sample(images.take(rows), precision.CALIBRATION)

    def _embed(self, missing: ImageSet) -> dict[bytes, str]:
        """Embed and store; returns why the images that could not be opened were not."""
        model = self._extractor
        decoder = Decoder(missing, model.prepare, side=model.side)
        with closing(iter(decoder)) as decoded:
            with status(f"loading {model.name}"):
                embedder = model.embedder(
                    self._engine, self._cache, lambda: self._sample(missing, SAMPLE)
                )
                # Here a batch size may be measured, which is no time that the images take.
                stream = embedder(Counted(decoded, len(missing)))
            with Writer(self._store, decoder.take_damaged, how=self._how) as writer:
                for digest, vector in track(stream, stage=self._bar, total=len(missing)):
                    writer.add(digest, vector)
        self._meter.add("decode", decoder.seconds)
        facts: dict[str, float] = getattr(embedder, "facts", {})
        self._meter.counts |= {f"engine_{name}": fact for name, fact in facts.items()}
        return decoder.inaccessible
