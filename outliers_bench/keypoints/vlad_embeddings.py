"""VLAD vectors of photos: learn a vocabulary, and store the vectors in the feature store."""

from __future__ import annotations

import hashlib
from importlib.metadata import version
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from outliers_bench.data.decode import DECODER
from outliers_bench.keypoints.keypoint_store import StoredKeypoints
from outliers_bench.keypoints.models import Vlad
from outliers_bench.keypoints.vlad import encode, learn_vocabulary
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import track
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.store.features import FeatureStore, Space, file_stem
from outliers_bench.types import Embeddings, FloatArray, ImageSet, LeftOut

_BLOCK = 256  # images encoded between commits


class VladEmbeddings:
    """VLAD vectors of a data set.

    A vocabulary depends on the photos it is learned on, so they are part of the key of stored
    vectors: another split has another vocabulary.
    """

    def __init__(self, model: Vlad, cache: Path, meter: Meter) -> None:
        self._model = model
        self._cache = cache
        self._meter = meter
        self._keypoints = StoredKeypoints(model, cache, meter)
        self._learned_from = ""
        self._part: ImageSet | None = None
        self._vocabulary: FloatArray | None = None

    def compute(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Compute and store missing keypoints of images, and after `fit` also their vectors."""
        unreadable = self._keypoints.compute(images)
        if self._part is not None:
            self._encode(self._part, images.without(set(unreadable)))
        return unreadable

    def fit(
        self,
        part: ImageSet,
        images: ImageSet,
        observer: TrainingObserver = NULL_OBSERVER,  # noqa: ARG002 - k-means has no epochs
    ) -> None:
        """Learn a vocabulary from `part` and aggregate all `images`, unless both are stored.

        Raises what `learn_vocabulary` raises.
        """
        # Sorted by content, so that the result does not depend on file names.
        part = part.take(np.argsort(np.array(part.digests, dtype="S16"), kind="stable"))
        content = hashlib.blake2b(b"".join(part.digests), digest_size=16)
        self._learned_from = content.hexdigest()
        self._part, self._vocabulary = part, None
        self._encode(part, images)

    def _encode(self, part: ImageSet, images: ImageSet) -> None:
        """Aggregate the images whose vectors are missing, by a vocabulary learned from `part`."""
        with self._store() as store:
            missing = images.without(store.known(images.digests))
            if not len(missing):
                return
            if self._vocabulary is None:
                self._vocabulary = learn_vocabulary(
                    self._keypoints.table(part),
                    descriptor=self._model.descriptor,
                    words=self._model.words,
                    seed=self._model.random_seed,
                )
            vocabulary = self._vocabulary
            table = self._keypoints.table(missing)
            starts = range(0, len(missing), _BLOCK)
            for start in track(starts, stage="vlad", total=len(starts), unit="blocks"):
                rows = range(start, min(start + _BLOCK, len(missing)))
                vectors = (
                    encode(keypoints, vocabulary, descriptor=self._model.descriptor)
                    for keypoints in table.take(rows)
                )
                with threadpool_limits(1):  # more threads are no faster for a few hundred rows
                    store.add(zip((missing.digests[row] for row in rows), vectors, strict=True))

    def load(self, images: ImageSet) -> Embeddings:
        """Load the vectors of images passed to `fit`; those without keypoints are zero."""
        with self._store() as store, self._meter.stage("read"):
            matrix = store.matrix(images.digests)
        self._meter.counts.setdefault("images_without_keypoints", 0)  # and those of the search
        return Embeddings(images, matrix, frozenset(self._keypoints.empty(images)))

    def identity(self) -> str:
        """Return the identity of the feature space, which `fit` determines."""
        return file_stem(self._space())

    def _store(self) -> FeatureStore:
        return FeatureStore(self._cache / "features", self._space(), self._model.dimensions)

    def _space(self) -> Space:
        return {
            **self._model.space(),
            "learned_from": self._learned_from,
            "decoder": DECODER,
            "faiss": version("faiss-cpu"),  # whose k-means makes the vocabulary
        }
