"""The embeddings of a network that is trained first: learn, keep, embed."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from outliers_bench.data.decode import DECODER, resize
from outliers_bench.errors import BenchError
from outliers_bench.features.engine import Engine
from outliers_bench.features.extract import Features
from outliers_bench.features.located import located
from outliers_bench.features.viewed import ViewedFeatures, features_of
from outliers_bench.kept import digest_of
from outliers_bench.measure import Meter
from outliers_bench.progress import status
from outliers_bench.training.embed import TrainedExtractor
from outliers_bench.training.examples import KeptPixels, images_by_row
from outliers_bench.training.fit import NETWORK, Task, finished, train
from outliers_bench.training.frozen import FrozenBody, floats_per_image
from outliers_bench.training.readable import Readable
from outliers_bench.training.saved import described
from outliers_bench.training.trained import Layer, Trained
from outliers_bench.training.watch import NOBODY, TrainedNetwork, Watcher
from outliers_bench.types import RGB, FloatArray, ImageSet, LeftOut

_log = logging.getLogger(__name__)
_BLOCK = 256  # images whose embeddings are computed from stored features at once


class TrainedVectors:
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

    def __init__(self, option: Trained, engine: Engine, cache: Path, meter: Meter) -> None:
        self._option = option
        self._engine = engine
        self._cache = cache
        self._meter = meter
        self._embeddings: Features | ViewedFeatures | None = None
        self._frozen: Features | None = None
        self._pixels: KeptPixels | None = None
        if option.ready:
            self._use(located(option.weights), described(located(option.weights)).classes)

    def compute(self, images: ImageSet, *, commit: Callable[[], object]) -> dict[bytes, LeftOut]:
        """Make sure that what the training needs is there; see `Features.compute`.

        That is the features of a frozen backbone where they fit into memory. Otherwise the images
        are only looked into, and kept if they fit.
        """
        if self._embeddings is not None and self._option.ready:
            return self._embeddings.compute(images, commit=commit)
        budget = self._option.memory_gb * 1e9
        frozen = self._option.frozen
        if frozen is not None:
            needed = 4.0 * len(images) * floats_per_image(frozen)
            if needed <= budget:
                body = FrozenBody(frozen)
                self._frozen = Features(body, self._engine, self._cache, self._meter)
                return self._frozen.compute(images, commit=commit)
            _log.warning(
                "model=%s: the features of the frozen backbone take %.1f GB, more than "
                "model.memory_gb=%g, so every epoch runs the whole network",
                self._option.name,
                needed / 1e9,
                self._option.memory_gb,
            )
        side = self._option.image_size
        fits = 3.0 * len(images) * side**2 <= budget
        self._pixels = KeptPixels(images.reader, lambda image: resize(image, side), keep=fits)
        own = Meter()
        looked = Features(
            Readable(self._option.name), self._engine, self._cache, own, stage="decode"
        )
        unreadable = looked.compute(replace(images, reader=self._pixels), commit=commit)
        self._meter.add("decode", own.seconds.get("decode", 0.0))
        return unreadable

    def learn(self, part: ImageSet, images: ImageSet, watch: Watcher = NOBODY) -> None:
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
        network = self._trained(part, watch)
        watch.trained(network)
        seconds = sum(epoch.get("seconds", 0.0) for epoch in network.epochs)
        best = network.epochs[network.best_epoch - 1]
        self._meter.counts |= {
            "epochs": len(network.epochs),
            "best_epoch": network.best_epoch,
            "training_seconds": seconds,
            **{f"best_{name}": best[name] for name in ("val_accuracy",) if name in best},
        }
        if network.fresh:
            self._meter.add("train", seconds)
        features = self._use(network.folder / NETWORK, len(network.classes))
        if self._frozen is not None and isinstance(features, Features):
            self._embed_frozen(features, features.missing(images))
            return
        reader = self._pixels or images.reader
        features.compute(replace(images, reader=reader), commit=watch.confirm)
        if self._pixels is not None:
            self._pixels.forget()

    def load(self, images: ImageSet) -> FloatArray:
        """The embeddings of images that `learn` has seen, shape (n, d)."""
        return self._known().load(images)

    def identity(self) -> str:
        """What tells these embeddings from all others; `learn` decides it."""
        return self._known().identity()

    def blank(self, images: ImageSet) -> set[bytes]:  # noqa: ARG002 - the same for all
        """Digests of the images that have no content: a network finds some in every one."""
        return set()

    def _known(self) -> Features | ViewedFeatures:
        if self._embeddings is None:
            raise ValueError("the network is known after learn")
        return self._embeddings

    def _use(self, file: Path, classes: int) -> Features | ViewedFeatures:
        option = self._option
        saved = described(file)
        layer = option.embedding
        length = {Layer.logits: classes, Layer.penultimate: saved.penultimate}.get(layer)
        self._extractor = TrainedExtractor(
            option.name,
            option.image_size,
            option=option,
            file=file,
            classes=classes,
            length=length or option.width(layer) or 0,
            views=option.views,
        )
        self._embeddings = features_of(self._extractor, self._engine, self._cache, self._meter)
        return self._embeddings

    def _trained(self, part: ImageSet, watch: Watcher) -> TrainedNetwork:
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
            "decoder": DECODER,
            "from_stored_features": self._frozen is not None,
        }
        folder = self._cache / "trained" / f"{option.name}-{digest_of(recipe)[:16]}"
        if (network := finished(folder, option)) is not None:
            self._retell(network, watch)
            return network
        watch.confirm()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "recipe.json").write_text(json.dumps(recipe, indent=2, sort_keys=True))
        lock = FileLock(folder / ".lock")
        with status(f"waiting for another process that trains the same {option.name}"):
            taken = lock.acquire()
        with taken:
            if (network := finished(folder, option)) is not None:
                self._retell(network, watch)
                return network
            return train(self._task(part), folder, watch)

    def _retell(self, network: TrainedNetwork, watch: Watcher) -> None:
        for number, figures in enumerate(network.epochs, 1):
            watch.epoch(number, figures)

    def _task(self, part: ImageSet) -> Task:
        side = self._option.image_size
        if self._frozen is not None:
            vectors = _matrix(self._frozen, part)
            return Task(
                self._option,
                part,
                fetch=lambda rows: vectors[rows],
                width=vectors.shape[1],
                example=lambda: _example(resize(part.read(0), side)),
            )
        seen = replace(part, reader=self._pixels or part.reader)
        fetch = images_by_row(seen)
        return Task(
            self._option, seen, fetch=fetch, width=None, example=lambda: _example(seen.read(0))
        )

    def _embed_frozen(self, features: Features, missing: ImageSet) -> None:
        """Embed from the stored features of the frozen backbone, by the head alone."""
        if self._frozen is None or not len(missing):
            return
        layer = self._option.embedding
        if layer is Layer.backbone:
            features.compute(missing)
            return
        head = self._extractor.load().head
        place = (Layer.penultimate, Layer.logits).index(layer)
        for start in range(0, len(missing), _BLOCK):
            block = missing.take(range(start, min(start + _BLOCK, len(missing))))
            seen = _matrix(self._frozen, block)
            # Always as many rows: a vector's last bits must not depend on how many are with it.
            seen = np.pad(seen, ((0, _BLOCK - len(seen)), (0, 0)))
            outputs = np.asarray(head(seen, training=False)[place])
            features.add(zip(block.digests, outputs[: len(block)], strict=True))


def _matrix(features: Features, images: ImageSet) -> FloatArray:
    """Stored features of images as rows, in their order."""
    found = features.get(images)
    matrix = np.empty((len(images), found[images.digests[0]].size), np.float32)
    for row, digest in enumerate(images.digests):
        matrix[row] = found[digest]
    return matrix


def _example(image: RGB) -> FloatArray:
    return image[None].astype(np.float32)
