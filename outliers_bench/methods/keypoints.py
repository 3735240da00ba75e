"""Ranking by the number of geometrically verified keypoint matches."""

from __future__ import annotations

import logging
from dataclasses import asdict

from outliers_bench.data.decode import DECODER
from outliers_bench.keypoints.draw_matches import match_sheets
from outliers_bench.keypoints.keypoint_store import StoredKeypoints
from outliers_bench.keypoints.models import KeypointMatching
from outliers_bench.keypoints.rank import rank_by_keypoints
from outliers_bench.keypoints.ranking_cache import MIN_DEPTH, rank_or_load
from outliers_bench.methods.method import GallerySearch, Method
from outliers_bench.methods.parts import Workspace
from outliers_bench.result import Result
from outliers_bench.retrieval.search import tie_order
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import track
from outliers_bench.types import RGB, Exclusion, ImageSet, LeftOut, RankedBlocks, Ranking

BLOCK_ITEMS = 20_000_000  # ranked gallery images per block, over all its queries: 320 MB

_log = logging.getLogger(__name__)


class MatchKeypoints(Method):
    """Rank the gallery by matched keypoints; nothing is learned, and no index is built."""

    def __init__(self, model: KeypointMatching, workspace: Workspace) -> None:
        self.model = model
        self.workspace = workspace
        self.keypoints = StoredKeypoints(model, workspace.cache, workspace.meter)

    def extract(self, images: ImageSet) -> dict[bytes, LeftOut]:
        """Detect and store the keypoints of all images; see `Method.extract`."""
        return self.keypoints.compute(images)

    def index(self, gallery: ImageSet) -> KeypointGallery:
        """Open the keypoints of the gallery; see `Method.index`."""
        return KeypointGallery(self, gallery)

    def match_sheets(self, result: Result, queries: int) -> dict[str, RGB]:
        """Draw queries next to their best match, with the verified keypoint matches."""
        seed = self.workspace.seed
        return match_sheets(result, self.keypoints, self.model, queries=queries, seed=seed)


class KeypointGallery(GallerySearch):
    """Gallery that is searched by matching keypoints; see `GallerySearch`."""

    def __init__(self, method: MatchKeypoints, gallery: ImageSet) -> None:
        self._gallery = gallery
        self._keypoints = method.keypoints
        self._model = method.model
        self._cache = method.workspace.cache
        self._meter = method.workspace.meter
        self._table = method.keypoints.table(gallery)
        self._empty = method.keypoints.empty(gallery)
        self._order = tie_order(gallery.digests, method.workspace.seed)
        self._meter.dimensions = method.model.descriptor.dimensions
        self._meter.index_bytes = method.keypoints.nbytes(gallery)

    def query_blocks(
        self, images: ImageSet, depth: int, exclusion: Exclusion, *, full: bool = False
    ) -> RankedBlocks:
        """Rank the gallery for blocks of queries; see `GallerySearch.query_blocks`.

        The gallery is read once per block, and each block is cached.
        """
        self._count_empty(images)
        depth = len(self._order) if full else depth
        size = max(1, BLOCK_ITEMS // max(depth, MIN_DEPTH))
        starts = range(0, len(images), size)
        for start in track(starts, stage="rank", total=len(starts), unit="blocks"):
            rows = slice(start, min(start + size, len(images)))
            block = images if len(starts) == 1 else images.take(range(rows.start, rows.stop))
            yield rows, self._rank(block, depth, exclusion.take(rows))

    def _rank(self, images: ImageSet, depth: int, exclusion: Exclusion) -> Ranking:
        is_gallery = images.digests == self._gallery.digests

        def rank(rank_depth: int, meter: Meter) -> Ranking:
            return rank_by_keypoints(
                self._table if is_gallery else self._keypoints.table(images),
                self._table,
                descriptor=self._model.descriptor,
                options=self._model,
                depth=rank_depth,
                order=self._order,
                exclusion=exclusion,
                meter=meter,
            )

        options = {k: getattr(v, "value", v) for k, v in asdict(self._model).items()}
        return rank_or_load(
            rank,
            key={**options, **self._model.space(), "decoder": DECODER},
            queries=images,
            gallery=self._gallery,
            exclusion=exclusion,
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
