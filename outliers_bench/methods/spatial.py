"""Spatial re-ranking: the shortlist of any embedding, re-ranked by verified keypoints."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from outliers_bench.keypoints.draw_matches import match_sheets
from outliers_bench.keypoints.keypoint_store import StoredKeypoints
from outliers_bench.keypoints.keypoints import TableRows
from outliers_bench.keypoints.models import Spatial
from outliers_bench.keypoints.rank import rerank_by_keypoints
from outliers_bench.result import Result
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import RGB, ImageSet, LeftOut, RankedBlocks


class SpatialRerank:
    """Re-rank a shortlist by verified keypoints, which are counted separately from embeddings."""

    def __init__(self, options: Spatial, cache: Path, meter: Meter) -> None:
        self._options = options
        self._meter = meter
        self._own = Meter()
        self._keypoints = StoredKeypoints(options, cache, self._own)

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Detect and store the keypoints of all images; see `Method.extract`."""
        unreadable = self._keypoints.compute(images)
        for stage, seconds in self._own.seconds.items():
            self._meter.add(stage, seconds)
        self._meter.counts |= {
            "keypoints_computed": self._own.features_computed,
            "keypoints_reused": self._own.features_reused,
        }
        return unreadable

    def rerank_blocks(
        self, blocks: RankedBlocks, images: ImageSet, gallery: ImageSet
    ) -> RankedBlocks:
        """Re-rank the shortlist of every query, given the rankings of blocks of queries."""
        is_gallery = images.digests == gallery.digests
        empty = self._keypoints.empty(gallery)
        empty |= set() if is_gallery else self._keypoints.empty(images)
        self._meter.counts["rerank_images_without_keypoints"] = len(empty)
        table = self._keypoints.table(gallery)
        queries = table if is_gallery else self._keypoints.table(images)
        every = np.arange(len(images))
        for rows, ranking in blocks:
            # Counted as search: the results of a query are complete only after it.
            with self._meter.stage("search"), self._meter.stage("rerank"):
                reranked = rerank_by_keypoints(
                    ranking,
                    TableRows(queries, every[rows]),
                    table,
                    descriptor=self._options.descriptor,
                    options=self._options,
                )
            yield rows, reranked

    def match_sheets(self, result: Result, *, queries: int, seed: int) -> dict[str, RGB]:
        """Draw queries next to their best match, with the verified keypoint matches."""
        return match_sheets(result, self._keypoints, self._options, queries=queries, seed=seed)
