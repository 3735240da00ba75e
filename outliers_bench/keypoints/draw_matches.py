"""Contact sheets of queries next to their best match, with matching keypoints and alignment."""

from __future__ import annotations

import math

import numpy as np

from outliers_bench.data.decode import shrink
from outliers_bench.errors import UnreadableImageError
from outliers_bench.keypoints.keypoint_store import StoredKeypoints
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.models import KeypointMatching, Spatial
from outliers_bench.keypoints.options import MatchOptions, Verify
from outliers_bench.keypoints.verify import Transform, find_inliers
from outliers_bench.reports.match_sheet import MatchPicture, draw_match_sheet
from outliers_bench.reports.select_queries import select_queries
from outliers_bench.result import Result
from outliers_bench.types import RGB, BoolArray, FloatArray, ImageSet

_HEADING = "Best matches"


def match_sheets(
    result: Result,
    stored: StoredKeypoints,
    options: KeypointMatching | Spatial,
    *,
    queries: int,
    seed: int,
) -> dict[str, RGB]:
    """Draw some queries next to their first hit, equally from best, typical and worst queries.

    Returns
    -------
    dict of str to array of uint8, shape (height, width, 3)
        `matches`; empty if the photos can no longer be read.
    """
    picks = select_queries(result, queries=math.ceil(queries / 3), seed=seed)
    rows = list(dict.fromkeys(pick.row for some in picks.values() for pick in some))[:queries]
    drawn = []
    for row in rows:
        if result.ranking.indices[row, 0] < 0:  # every image is excluded for this query
            continue
        try:
            drawn.append(_picture(result, row, stored, options))
        except (UnreadableImageError, OSError):  # deleted since
            continue
    if not drawn:
        return {}
    return {"matches": draw_match_sheet(drawn, title=f"{result.split.name}   |   {_HEADING}")}


def _picture(
    result: Result, row: int, stored: StoredKeypoints, options: KeypointMatching | Spatial
) -> MatchPicture:
    query, gallery = result.split.query, result.split.gallery
    hit = int(result.ranking.indices[row, 0])
    (of_query,), (of_hit,) = stored.table(query).take([row]), stored.table(gallery).take([hit])
    descriptor = options.descriptor
    pairs, _ = match_pair(
        descriptor.vectors(of_query.descriptors),
        descriptor.vectors(of_hit.descriptors),
        options=options,
        power=descriptor.power,
    )
    query_points, hit_points = of_query.points[pairs[:, 0]], of_hit.points[pairs[:, 1]]
    is_inlier, transform = _verify(query_points, hit_points, options)
    is_relevant = None
    if query.labels is not None and gallery.labels is not None:
        is_relevant = bool(query.labels[row] == gallery.labels[hit])
    return MatchPicture(
        query=shrink(query.read(row), options.longest_side),
        gallery=shrink(gallery.read(hit), options.longest_side),
        query_points=query_points,
        gallery_points=hit_points,
        inliers=is_inlier,
        transform=transform,
        query_caption=_caption(query, row),
        gallery_caption=_caption(gallery, hit),
        is_relevant=is_relevant,
    )


def _verify(
    query_points: FloatArray, hit_points: FloatArray, matching: MatchOptions
) -> tuple[BoolArray, Transform | None]:
    """Find the inliers (without verification, all) and the homography from query to hit."""
    if matching.verify is Verify.none:
        return np.ones(len(query_points), dtype=bool), None
    is_inlier, transform = find_inliers(
        query_points, hit_points, matching.verify, matching.reproj_threshold
    )
    if transform is None or is_inlier.sum() < matching.min_inliers:
        return np.zeros(len(query_points), dtype=bool), None
    return is_inlier, transform


def _caption(part: ImageSet, row: int) -> str:
    return part.names[row] if part.labels is None else part.classes[int(part.labels[row])]
