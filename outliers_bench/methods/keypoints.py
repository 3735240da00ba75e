"""Ranking by the number of geometrically verified keypoint matches."""

from __future__ import annotations

import logging
from dataclasses import asdict
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
from outliers_bench.types import ImageSet, LeftOut, Ranking, Split

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

    def rank(self, split: Split, depth: int) -> Ranking:
        """Rank the gallery for every query; see `Method.rank`."""
        gallery = self._keypoints.table(split.gallery)
        empty = self._keypoints.empty(split.query_and_gallery)
        self._meter.counts["images_without_keypoints"] = len(empty)
        if 2 * len(empty) > len(split.query_and_gallery):
            _log.warning(
                "%d of %d photos have no keypoints and are ranked at random: "
                "they may be too small or too uniform for model=%s",
                len(empty),
                len(split.query_and_gallery),
                self._model.name,
            )
        self._meter.dimensions = self._model.descriptor.dimensions
        self._meter.index_bytes = self._keypoints.nbytes(split.gallery)
        order = tie_order(split.gallery.digests, self._workspace.seed)

        def rank(rank_depth: int) -> Ranking:
            return rank_by_keypoints(
                gallery if split.is_one_set else self._keypoints.table(split.query),
                gallery,
                descriptor=self._model.descriptor,
                options=self._model,
                depth=rank_depth,
                order=order,
                exclusion=split.exclusion,
                meter=self._meter,
            )

        return rank_or_load(
            rank,
            key={**_to_dict(self._model), **self._model.space(), "decoder": DECODER},
            split=split,
            order=order,
            depth=depth,
            cache=self._workspace.cache,
            meter=self._meter,
        )

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


def _to_dict(model: KeypointMatching) -> dict[str, object]:
    return {key: getattr(value, "value", value) for key, value in asdict(model).items()}
