"""Ranking by the number of geometrically verified keypoint matches."""

from __future__ import annotations

import logging
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING

from outliers_bench.data.decode import DECODER
from outliers_bench.keypoints.draw_matches import match_sheets
from outliers_bench.keypoints.keypoint_store import StoredKeypoints
from outliers_bench.keypoints.models import KeypointMatching
from outliers_bench.keypoints.rank import rank_by_keypoints
from outliers_bench.keypoints.ranking_cache import rank_or_load
from outliers_bench.methods.parts import Workspace
from outliers_bench.result import Result
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.training_observer import NULL_OBSERVER, TrainingObserver
from outliers_bench.types import Exclusion, ImageSet, LeftOut, Ranking, Split

if TYPE_CHECKING:
    from PIL.Image import Image

_log = logging.getLogger(__name__)


class MatchKeypoints:
    """Rank the gallery by matched keypoints; nothing is learned, and no index is built.

    Parameters
    ----------
    model : KeypointMatching
        Options of the keypoints and of their matching.
    workspace : Workspace
    """

    learns_from_labels = False

    def __init__(self, model: KeypointMatching, workspace: Workspace) -> None:
        self._model = model
        self._workspace = workspace
        self._meter = workspace.meter
        self._keypoints = StoredKeypoints(model, workspace.cache, workspace.meter)

    def check(self, split: Split) -> None:
        """Do nothing: any images can be matched."""

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Detect and store the keypoints of all images; see `Method.extract`."""
        return self._keypoints.compute(images)

    def fit(self, split: Split, observer: TrainingObserver = NULL_OBSERVER) -> None:
        """Do nothing: nothing is learned."""

    def index(self, gallery: ImageSet) -> KeypointGallery:
        """Open the keypoints of the gallery; see `Method.index`."""
        return KeypointGallery(gallery, self._keypoints, self._model, self._workspace)

    def match_sheets(self, result: Result, queries: int) -> dict[str, Image]:
        """Draw queries next to their best match, with the verified keypoint matches."""
        return match_sheets(
            result,
            self._keypoints,
            keypoints=self._model,
            matching=self._model,
            queries=queries,
            seed=self._workspace.seed,
        )


class KeypointGallery:
    """Gallery that is searched by matching keypoints; see `GallerySearch`.

    Parameters
    ----------
    gallery : ImageSet
    keypoints : StoredKeypoints
    model : KeypointMatching
    workspace : Workspace
    """

    def __init__(
        self,
        gallery: ImageSet,
        keypoints: StoredKeypoints,
        model: KeypointMatching,
        workspace: Workspace,
    ) -> None:
        self._gallery = gallery
        self._keypoints = keypoints
        self._model = model
        self._cache = workspace.cache
        self._meter = workspace.meter
        self._table = keypoints.table(gallery)
        self._empty = keypoints.empty(gallery)
        self._order = tie_order(gallery.digests, workspace.seed)
        self._meter.dimensions = model.descriptor.dimensions
        self._meter.index_bytes = keypoints.nbytes(gallery)

    def query(self, images: ImageSet, depth: int, exclusion: Exclusion | None = None) -> Ranking:
        """Rank the gallery for every query; see `GallerySearch.query`."""
        is_gallery = images.digests == self._gallery.digests
        self._count_empty(images)
        rank = partial(
            rank_by_keypoints,
            self._table if is_gallery else self._keypoints.table(images),
            self._table,
            descriptor=self._model.descriptor,
            options=self._model,
            order=self._order,
            exclusion=exclusion,
            meter=self._meter,
        )
        return rank_or_load(
            lambda rank_depth: rank(depth=rank_depth),
            key={**_to_dict(self._model), **self._model.space(), "decoder": DECODER},
            queries=images,
            gallery=self._gallery,
            exclusion=exclusion or Exclusion.nothing(len(images), len(self._gallery)),
            order=self._order,
            depth=depth,
            cache=self._cache,
            meter=self._meter,
        )

    def _count_empty(self, images: ImageSet) -> None:
        """Count the images without keypoints, and warn if they are the majority."""
        empty = self._empty | self._keypoints.empty(images)
        total = len({*images.digests, *self._gallery.digests})
        self._meter.counts["images_without_keypoints"] = len(empty)
        if 2 * len(empty) > total:
            _log.warning(
                "%d of %d photos have no keypoints and are ranked at random: "
                "they may be too small or too uniform for model=%s",
                len(empty),
                total,
                self._model.name,
            )


def _to_dict(model: KeypointMatching) -> dict[str, object]:
    return {key: getattr(value, "value", value) for key, value in asdict(model).items()}
