"""Embeddings of a network that is trained first: train, save, embed."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from outliers_bench.data.decode import DECODER
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Precision
from outliers_bench.errors import BenchError
from outliers_bench.features.extract import Features
from outliers_bench.features.view_average import ViewAveragedFeatures, build_features
from outliers_bench.models.model_uris import resolve_uri
from outliers_bench.models.pooling import Pooling
from outliers_bench.models.tta import Crops
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainedNetwork, TrainingObserver
from outliers_bench.store.files import digest_of
from outliers_bench.store.memo import locked
from outliers_bench.training.assemble import resolve_precision
from outliers_bench.training.base import Layer, TrainedModel
from outliers_bench.training.dataset import CachingReader, ReadabilityProbe, image_fetcher
from outliers_bench.training.extractor import TrainedExtractor
from outliers_bench.training.fit import NETWORK, TrainingTask, load_finished, train
from outliers_bench.training.saved_network import read_metadata
from outliers_bench.types import Embeddings, FloatArray, ImageSet, IntArray, LeftOut

_BLOCK = 256  # images whose backbone features are in memory at the same time


@dataclass
class TrainedEmbeddings:
    """Embeddings of a network trained on the train part, or of one that was trained before.

    A trained network is cached under everything it depends on, including photos and labels, so
    that it is trained only once. Its embeddings are stored like any others. The output of a frozen
    backbone is the same in every epoch, so it is computed once and stored; an epoch then trains
    only the head.
    """

    option: TrainedModel
    engine: Engine
    cache: Path
    meter: Meter

    def __post_init__(self) -> None:
        # What is trained in this run learns from float32 features, and is saved in float32.
        if not self.option.ready:
            self.engine = replace(self.engine, precision=Precision.f32)
        self._embeddings: Features | ViewAveragedFeatures | None = None
        self._backbone_features: Features | None = None
        self._image_cache: CachingReader | None = None
        if self.option.ready:
            self._use_network(resolve_uri(self.option.weights))

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute the input of the training, or after it the embeddings of further images.

        With a frozen backbone, compute and store its features. Otherwise decode the images to find
        unreadable ones, and cache them if they fit into memory.
        """
        if isinstance(self._embeddings, Features) and self._backbone_features is not None:
            unreadable = self._backbone_features.compute(images)
            self._add_embeddings(self._embeddings, images.without(set(unreadable)))
            return unreadable
        if self._embeddings is not None:
            return self._embeddings.compute(images)
        option = self.option
        if option.frozen_backbone is not None and option.store_features:
            self._backbone_features = Features(
                option.frozen_backbone, self.engine, self.cache, self.meter
            )
            return self._backbone_features.compute(images)
        fits = 3.0 * len(images) * option.image_size**2 <= option.memory_gb * 1e9
        self._image_cache = CachingReader(images.reader, option.image_size, cache=fits)
        probe_meter = Meter()
        probe = Features(
            ReadabilityProbe(option.name), self.engine, self.cache, probe_meter, stage="check"
        )
        unreadable = probe.compute(replace(images, reader=self._image_cache))
        self.meter.add("decode", probe_meter.seconds.get("decode", 0.0))
        return unreadable

    def fit(
        self, part: ImageSet, images: ImageSet, observer: TrainingObserver = NULL_OBSERVER
    ) -> None:
        """Train on `part`, unless the network is cached, and embed the new ones of `images`.

        Raises
        ------
        BenchError
            If the loss becomes infinite or NaN, or fewer than two classes remain.
        """
        if self.option.ready:
            return
        if part.labels is None or len(np.unique(part.labels)) < 2:  # without unreadable images
            raise BenchError(
                f"model={self.option.name}: the readable images of the train part have fewer "
                "than two classes; training needs at least two"
            )
        # Sorted by content, so that file names and their order do not affect the result.
        part = part.take(np.argsort(np.array(part.digests, dtype="S16"), kind="stable"))
        network = self._load_or_train(part, observer)
        observer.on_train_end(network)
        seconds = sum(epoch.get("seconds", 0.0) for epoch in network.epochs)
        best = network.epochs[network.best_epoch - 1]
        self.meter.counts |= {
            "epochs": len(network.epochs),
            "best_epoch": network.best_epoch,
            "training_seconds": seconds,
            **{f"best_{name}": best[name] for name in ("val_accuracy",) if name in best},
        }
        if not network.fresh:
            self.meter.counts["training_reused"] = 1
        features = self._use_network(network.folder / NETWORK)
        if self._backbone_features is not None and isinstance(features, Features):
            self._add_embeddings(features, images)
            return
        # Crops need larger photos than those cached for training.
        whole = self.option.tta.crops is Crops.none
        reader = self._image_cache if self._image_cache and whole else images.reader
        features.compute(replace(images, reader=reader))
        if self._image_cache is not None:
            self._image_cache.clear()

    def load(self, images: ImageSet) -> Embeddings:
        """Load the embeddings of images that were passed to `fit`."""
        return self._fitted_features().load(images)

    def identity(self) -> str:
        """Return a name that no other embeddings share; available after `fit`."""
        return self._fitted_features().identity()

    def _fitted_features(self) -> Features | ViewAveragedFeatures:
        if self._embeddings is None:
            raise ValueError("call fit first")
        return self._embeddings

    def _add_embeddings(self, features: Features, images: ImageSet) -> None:
        """Embed and store those images whose embeddings are not stored yet."""
        missing = features.missing(images)
        features.add(self._embed_stored(missing) if len(missing) else ())

    def _embed_stored(self, images: ImageSet) -> Iterator[tuple[bytes, FloatArray]]:
        """Embed from stored features of the frozen backbone, without decoding photos."""
        backbone, layer = self.option.frozen_backbone, self.option.embedding
        if self._backbone_features is None or backbone is None:
            raise ValueError("the backbone is not frozen")
        if layer is Layer.backbone:
            plain = replace(backbone, pooling=Pooling.avg)
            pooled = Features(plain, self.engine, self.cache, Meter())
            pooled.compute(images)
            yield from pooled.get(images).items()
            return
        head = self._extractor.load().head
        index = (Layer.penultimate, Layer.logits).index(layer)
        for start in range(0, len(images), _BLOCK):
            block = images.take(range(start, min(start + _BLOCK, len(images))))
            inputs = self._backbone_features.load(block).matrix
            # Pad to a constant batch size, because the last bits of a vector depend on it.
            inputs = np.pad(inputs, ((0, _BLOCK - len(inputs)), (0, 0)))
            outputs = np.asarray(head(inputs, training=False)[index])
            yield from zip(block.digests, outputs[: len(block)], strict=True)

    def _use_network(self, file: Path) -> Features | ViewAveragedFeatures:
        """Embed with the trained network of a file from now on."""
        option = self.option
        self._extractor = TrainedExtractor(
            option.name, option.image_size, option, file, read_metadata(file), tta=option.tta
        )
        self._embeddings = build_features(self._extractor, self.engine, self.cache, self.meter)
        return self._embeddings

    def _load_or_train(self, part: ImageSet, observer: TrainingObserver) -> TrainedNetwork:
        """Return the network trained on a part, from the cache if it is there."""
        option = self.option
        labels = [] if part.labels is None else part.labels.tolist()
        content = hashlib.blake2b(digest_size=16)
        for digest, label in zip(part.digests, labels, strict=True):
            content.update(digest + part.classes[label].encode() + b"\0")
        recipe = option.recipe() | {
            "learned_from": content.hexdigest(),
            "groups": part.groups,
            "precision": resolve_precision(option),
            "decoder": DECODER,
            "from_stored_features": self._backbone_features is not None,
        }
        folder = self.cache / "trained" / f"{option.name}-{digest_of(recipe)[:16]}"
        with locked(folder):
            network = load_finished(folder, option.name)
            if network is None:
                folder.mkdir(parents=True, exist_ok=True)
                (folder / "recipe.json").write_text(json.dumps(recipe, indent=2, sort_keys=True))
                with self.meter.stage("train"):
                    return train(self._make_task(part), folder, observer)
        for number, metrics in enumerate(network.epochs, 1):
            observer.on_epoch_end(number, metrics)
        return network

    def _make_task(self, part: ImageSet) -> TrainingTask:
        option, features = self.option, self._backbone_features
        # Tuning the weights of an ensemble skips `compute`, so there may be no cache.
        reader = self._image_cache or CachingReader(part.reader, option.image_size, cache=False)
        part = replace(part, reader=reader)
        if features is None:
            return TrainingTask(option, part, image_fetcher(part))
        fits = features.nbytes(part) <= option.memory_gb * 1e9
        vectors = features.load(part).matrix if fits else None

        def fetch(rows: IntArray) -> FloatArray:
            return features.load(part.take(rows)).matrix if vectors is None else vectors[rows]

        return TrainingTask(option, part, fetch)
