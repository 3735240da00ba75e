"""From images to stored features: decode ahead, embed what is missing, commit as it goes."""

from __future__ import annotations

import platform
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import numpy as np

from outliers_bench.data.decode import DECODER
from outliers_bench.errors import BenchError, InaccessibleImageError, UnreadableImageError
from outliers_bench.features.engine import Engine
from outliers_bench.features.extractor import Embedder, Space
from outliers_bench.features.store import FeatureStore, Vector, file_stem
from outliers_bench.machine import cores
from outliers_bench.measure import Meter
from outliers_bench.progress import status, track
from outliers_bench.training.watch import NOBODY, Watcher
from outliers_bench.types import RGB, FloatArray, ImageSet, LeftOut

COMMIT_SECONDS = 1.0  # what a kill can cost
AHEAD = 32  # decoded images that may wait for the network
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
        with self._store() as store:
            known = store.known(images.digests)
            missing = images.without(known)
            if len(missing):
                commit()
                with self._meter.stage(self._stage):
                    inaccessible = self._embed(missing, store)
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
        matrix = np.empty((len(images), self._extractor.dimensions or 0), dtype=np.float32)
        found = self.get(images)
        for row, digest in enumerate(images.digests):
            matrix[row] = found[digest]
        return matrix

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
        return {**self._extractor.space(), "decoder": DECODER, "precision": "f32"}

    def _embed(self, missing: ImageSet, store: FeatureStore) -> dict[bytes, str]:
        """Embed and store; returns why the images that could not be opened were not."""
        with status(f"loading {self._extractor.name}"):
            embedder = self._extractor.embedder(
                self._engine, self._cache, lambda: _first_readable(missing, self._extractor.prepare)
            )
        decoder = Decoder(missing, self._extractor.prepare)
        batch: list[tuple[bytes, Vector]] = []
        committed = time.perf_counter()

        def commit() -> None:
            nonlocal batch, committed
            now = time.perf_counter()
            store.add(batch, decoder.take_damaged(), seconds=now - committed, how=self._how)
            batch, committed = [], now

        for pair in track(embedder(decoder), stage=self._bar, total=len(missing)):
            batch.append(pair)
            if time.perf_counter() - committed >= COMMIT_SECONDS:
                commit()
        commit()
        self._meter.add("decode", decoder.seconds)
        return decoder.inaccessible


@dataclass(frozen=True)
class Decoded:
    """One image, or the reason why there is none."""

    digest: bytes
    image: RGB | UnreadableImageError
    seconds: float


class Decoder:
    """Decodes and resizes in threads, a bounded number of images ahead of whoever iterates.

    Attributes
    ----------
    inaccessible : dict of bytes to str
        Digest and reason of the images that could not be opened.
    seconds : float
        Time spent decoding, summed over threads.
    """

    def __init__(self, images: ImageSet, prepare: Callable[[RGB], RGB]) -> None:
        self._images = images
        self._prepare = prepare
        self._damaged: list[tuple[bytes, str]] = []
        self.inaccessible: dict[bytes, str] = {}
        self.seconds = 0.0

    def __iter__(self) -> Iterator[tuple[bytes, RGB]]:
        with ThreadPoolExecutor(cores(), thread_name_prefix="decode") as pool:
            rows = iter(range(len(self._images)))
            ahead = deque(pool.submit(self._decode, row) for row in islice(rows, AHEAD))
            try:
                while ahead:
                    decoded = ahead.popleft().result()
                    ahead.extend(pool.submit(self._decode, row) for row in islice(rows, 1))
                    self.seconds += decoded.seconds
                    if isinstance(decoded.image, InaccessibleImageError):
                        self.inaccessible[decoded.digest] = str(decoded.image)
                    elif isinstance(decoded.image, UnreadableImageError):
                        self._damaged.append((decoded.digest, str(decoded.image)))
                    else:
                        yield decoded.digest, decoded.image
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def take_damaged(self) -> list[tuple[bytes, str]]:
        """Digest and reason of the images found to be damaged since the last call."""
        damaged, self._damaged = self._damaged, []
        return damaged

    def _decode(self, row: int) -> Decoded:
        start = time.perf_counter()
        try:
            image: RGB | UnreadableImageError = self._prepare(self._images.read(row))
        except UnreadableImageError as error:
            image = error
        return Decoded(self._images.digests[row], image, time.perf_counter() - start)


def _first_readable(images: ImageSet, prepare: Callable[[RGB], RGB]) -> list[RGB]:
    sample: list[RGB] = []
    for row in range(len(images)):
        try:
            sample.append(prepare(images.read(row)))
        except UnreadableImageError:
            continue
        if len(sample) == SAMPLE:
            break
    if not sample:
        raise BenchError(f"none of the {len(images)} images can be decoded")
    return sample
