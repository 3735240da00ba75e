"""The embeddings of a network that is trained first: learn, keep, embed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.data.decode import DECODER, oversampled, resize
from outliers_bench.engines.options import Engine
from outliers_bench.errors import BenchError
from outliers_bench.features.extract import Features
from outliers_bench.features.view_average import ViewAveragedFeatures, build_features
from outliers_bench.models.model_uris import resolve_uri
from outliers_bench.models.pooling import Pooling
from outliers_bench.models.tta import Crop
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import status
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainedNetwork, TrainingObserver
from outliers_bench.store.files import digest_of
from outliers_bench.training.base import Layer, TrainedModel
from outliers_bench.training.compile import resolve_precision
from outliers_bench.training.dataset import CachingReader, image_fetcher
from outliers_bench.training.extractor import TrainedExtractor
from outliers_bench.training.fit import NETWORK, TrainingTask, load_finished, train
from outliers_bench.training.frozen_backbone import FrozenBackbone, load_matrix, iter_features, apply_head
from outliers_bench.training.probe import ReadabilityProbe
from outliers_bench.training.saved_network import read_metadata
from outliers_bench.types import RGB, FloatArray, ImageReader, ImageSet, IntArray, LeftOut

if TYPE_CHECKING:
    from filelock import FileLock


class TrainedEmbeddings:
    """Trains a network on the train part, or takes one that was, and embeds with it.

    A trained network is kept under everything it depends on, photos and labels included, so that
    it is trained once; its embeddings are kept in the feature store like all others. What a frozen
    backbone gives for an image is the same in every epoch: it is computed once, stored, and an
    epoch costs only the head.

    Parameters
    ----------
    option : Trained
        Which network, and how it is trained.
    engine : Engine
        What computes embeddings.
    cache : Path
        Directory of stored features, networks and converted models.
    meter : Meter
        Takes down times and counts.
    """

    def __init__(self, option: TrainedModel, engine: Engine, cache: Path, meter: Meter) -> None:
        self._option = option
        self._engine = engine
        self._cache = cache
        self._meter = meter
        self._embeddings: Features | ViewAveragedFeatures | None = None
        self._frozen: Features | None = None
        self._pixels: CachingReader | None = None
        if option.ready:
            self._use(resolve_uri(option.weights))

    def compute(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that what the training needs is there; see `Features.compute`.

        That is the features of a frozen backbone. Otherwise the images are only looked into, and
        kept if they fit into memory.
        """
        if self._embeddings is not None and self._option.ready:
            return self._embeddings.compute(images, commit=commit)
        option = self._option
        if option.frozen_backbone is not None and option.store_features:
            body = FrozenBackbone(option.frozen_backbone)
            self._frozen = Features(body, self._engine, self._cache, self._meter)
            return self._frozen.compute(images, commit=commit)
        fits = 3.0 * len(images) * option.image_size**2 <= option.memory_gb * 1e9
        self._pixels = self._squeezing(images.reader, keep=fits)
        own = Meter()
        looked = Features(ReadabilityProbe(option.name), self._engine, self._cache, own, stage="look")
        unreadable = looked.compute(replace(images, reader=self._pixels), commit=commit)
        self._meter.add("decode", own.seconds.get("decode", 0.0))
        return unreadable

    def fit(
        self, part: ImageSet, images: ImageSet, observer: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Train on `part` unless that was done, and embed all `images` that are not yet.

        Raises
        ------
        BenchError
            If the loss becomes infinite or NaN, or fewer than two classes are left to learn.
        """
        if self._option.ready:
            return
        if part.labels is None or len(np.unique(part.labels)) < 2:  # unreadable ones are gone
            raise BenchError(
                f"model={self._option.name}: the images of the train part that can be read are "
                "not of two classes or more, so there is nothing to tell apart"
            )
        # By content: the order of files, which comes with their names, decides nothing.
        part = part.take(np.argsort(np.array(part.digests, dtype="S16"), kind="stable"))
        network = self._trained(part, observer)
        observer.trained(network)
        seconds = sum(epoch.get("seconds", 0.0) for epoch in network.epochs)
        best = network.epochs[network.best_epoch - 1]
        self._meter.counts |= {
            "epochs": len(network.epochs),
            "best_epoch": network.best_epoch,
            "training_seconds": seconds,
            **{f"best_{name}": best[name] for name in ("val_accuracy",) if name in best},
        }
        if not network.fresh:
            self._meter.counts["training_kept"] = 1
        features = self._use(network.folder / NETWORK)
        if self._frozen is not None and isinstance(features, Features):
            missing = features.missing(images)
            features.add(self._embedded(missing) if len(missing) else ())
            return
        # Crops are cut from larger photos than the network has seen.
        whole = all(
            view.crop is Crop.whole for view in self._option.tta.of(self._option.image_size)
        )
        reader = self._pixels if self._pixels and whole else images.reader
        features.compute(replace(images, reader=reader), commit=observer.confirm)
        if self._pixels is not None:
            self._pixels.forget()

    def load(self, images: ImageSet) -> FloatArray:
        """The embeddings of images that `fit` has seen, shape (n, d)."""
        return self._known().load(images)

    def identity(self) -> str:
        """What tells these embeddings from all others; `fit` decides it."""
        return self._known().identity()

    def blank(self, images: ImageSet) -> set[bytes]:  # noqa: ARG002 - the same for all
        """Digests of the images that have no content: a network finds some in every one."""
        return set()

    def _known(self) -> Features | ViewAveragedFeatures:
        if self._embeddings is None:
            raise ValueError("the network is known after learn")
        return self._embeddings

    def _embedded(self, images: ImageSet) -> Iterator[tuple[bytes, FloatArray]]:
        """Embeddings from what is stored of the frozen backbone, which need no photo."""
        frozen, layer = self._option.frozen_backbone, self._option.embedding
        if self._frozen is None or frozen is None:
            raise ValueError("the backbone is not frozen")
        if layer is not Layer.backbone:
            return apply_head(self._frozen, images, self._extractor.load().head, layer)
        plain = FrozenBackbone(replace(frozen, pooling=Pooling.avg))
        pooled = Features(plain, self._engine, self._cache, Meter())
        pooled.compute(images)
        return iter_features(pooled, images)

    def _use(self, file: Path) -> Features | ViewAveragedFeatures:
        option = self._option
        saved = read_metadata(file)
        self._extractor = TrainedExtractor(
            option.name,
            option.image_size,
            option=option,
            file=file,
            classes=len(saved.classes),
            length=saved.dimensions[option.embedding.value],
            tta=option.tta,
        )
        self._embeddings = build_features(self._extractor, self._engine, self._cache, self._meter)
        return self._embeddings

    def _trained(self, part: ImageSet, observer: TrainingObserver) -> TrainedNetwork:
        """The network that this part gives; trained now if it was not before."""
        from filelock import FileLock

        option = self._option
        labels = [] if part.labels is None else part.labels.tolist()
        content = hashlib.blake2b(digest_size=16)
        for digest, label in zip(part.digests, labels, strict=True):
            content.update(digest + part.classes[label].encode() + b"\0")
        recipe = option.recipe() | {
            "learned_from": content.hexdigest(),
            "groups": part.groups,
            "precision": resolve_precision(option),
            "decoder": DECODER,
            "from_stored_features": self._frozen is not None,
        }
        folder = self._cache / "trained" / f"{option.name}-{digest_of(recipe)[:16]}"
        if (network := load_finished(folder, option)) is not None:
            self._retell(network, observer)
            return network
        observer.confirm()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.json").write_text(json.dumps(recipe, indent=2, sort_keys=True))
        lock = FileLock(folder / ".lock")
        with _acquired(lock, option.name):
            if (network := load_finished(folder, option)) is not None:
                self._retell(network, observer)
                return network
            with self._meter.stage("train"):
                return train(self._task(part), folder, observer)

    def _retell(self, network: TrainedNetwork, observer: TrainingObserver) -> None:
        for number, figures in enumerate(network.epochs, 1):
            observer.epoch(number, figures)

    def _squeezing(self, reader: ImageReader, *, keep: bool) -> CachingReader:
        side = self._option.image_size
        return CachingReader(
            reader, lambda image: resize(image, side), keep=keep, side=oversampled(side)
        )

    def _task(self, part: ImageSet) -> TrainingTask:
        option, frozen = self._option, self._frozen
        if frozen is None:
            # Without `compute`, as where weights of an ensemble are tuned, nothing is kept.
            seen = replace(part, reader=self._pixels or self._squeezing(part.reader, keep=False))
            fetch = image_fetcher(seen)
            return TrainingTask(option, seen, fetch, width=None, example=lambda: _input_example(seen.read(0)))
        width = load_matrix(frozen, part.take([0])).shape[1]
        if 4.0 * width * len(part) <= option.memory_gb * 1e9:
            vectors = load_matrix(frozen, part)

            def fetch_vectors(rows: IntArray) -> FloatArray:
                return vectors[rows]
        else:

            def fetch_vectors(rows: IntArray) -> FloatArray:
                return load_matrix(frozen, part.take(rows))

        side = option.image_size
        return TrainingTask(
            option,
            part,
            fetch_vectors,
            width=width,
            example=lambda: _input_example(resize(part.read(0), side)),
        )


@contextmanager
def _acquired(lock: FileLock, name: str) -> Iterator[None]:
    """Hold a lock; say so where another process has it."""
    from filelock import Timeout

    try:
        lock.acquire(timeout=0)
    except Timeout:
        with status(f"waiting for another process that trains the same {name}"):
            lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _input_example(image: RGB) -> FloatArray:
    example: FloatArray = image[None].astype(np.float32)
    return example
