"""Queries beside their best match, for people to see which keypoints agree and how they align."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from outliers_bench.data.decode import shrink
from outliers_bench.errors import UnreadableImageError
from outliers_bench.keypoints.keypoint_store import StoredKeypoints
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.options import KeypointOptions, MatchOptions, Verify
from outliers_bench.keypoints.verify import Transform, inliers
from outliers_bench.reports.match_sheet import MatchPicture, match_sheet
from outliers_bench.reports.select_queries import pick_queries
from outliers_bench.result import Result
from outliers_bench.types import BoolArray, FloatArray, ImageSet

if TYPE_CHECKING:
    from PIL.Image import Image

_HEADING = "Best matches"


def match_sheets(
    result: Result,
    stored: StoredKeypoints,
    *,
    keypoints: KeypointOptions,
    matching: MatchOptions,
    queries: int,
    seed: int,
) -> dict[str, Image]:
    """Draw some queries beside what was ranked first for them.

    Parameters
    ----------
    result : Result
        What a run found.
    stored : StoredKeypoints
        The keypoints it was found by.
    keypoints : KeypointOptions
        How large the photos were.
    matching : MatchOptions
        When keypoints match and agree.
    queries : int
        How many to draw, from the best, the typical and the worst alike.
    seed : int
        Decides which.

    Returns
    -------
    dict of str to PIL.Image.Image
        `matches`; empty where none of the photos can be read any more.
    """
    picks = pick_queries(result, queries=math.ceil(queries / 3), seed=seed)
    rows = list(dict.fromkeys(pick.row for some in picks.values() for pick in some))[:queries]
    drawn = []
    for row in rows:
        try:
            drawn.append(_picture(result, row, stored, keypoints, matching))
        except (UnreadableImageError, OSError):  # gone since
            continue
    if not drawn:
        return {}
    return {"matches": match_sheet(drawn, title=f"{result.split.name}   |   {_HEADING}")}


def _picture(
    result: Result,
    row: int,
    stored: StoredKeypoints,
    keypoints: KeypointOptions,
    matching: MatchOptions,
) -> MatchPicture:
    query, gallery = result.split.query, result.split.gallery
    found = int(result.ranking.indices[row, 0])
    (asked,), (answer,) = stored.table(query).take([row]), stored.table(gallery).take([found])
    kind = keypoints.descriptor
    pairs, _ = match_pair(
        kind.vectors(asked.descriptors),
        kind.vectors(answer.descriptors),
        options=matching,
        power=kind.power,
    )
    here, there = asked.points[pairs[:, 0]], answer.points[pairs[:, 1]]
    agree, transform = _geometry(here, there, matching)
    labeled = query.labels is not None and gallery.labels is not None
    return MatchPicture(
        query=shrink(query.read(row), keypoints.longest_side),
        found=shrink(gallery.read(found), keypoints.longest_side),
        query_points=here,
        found_points=there,
        inliers=agree,
        transform=transform,
        query_caption=_caption(query, row),
        found_caption=_caption(gallery, found),
        right=bool(query.labels[row] == gallery.labels[found]) if labeled else None,  # type: ignore[index]
    )


def _geometry(
    here: FloatArray, there: FloatArray, matching: MatchOptions
) -> tuple[BoolArray, Transform | None]:
    """Which matches agree, and the homography from query to gallery; all without verification."""
    if matching.verify is Verify.none:
        return np.ones(len(here), dtype=bool), None
    agree, transform = inliers(here, there, matching.verify, matching.reproj_threshold)
    if transform is None or agree.sum() < matching.min_inliers:
        return np.zeros(len(here), dtype=bool), None
    homography = np.eye(3)
    homography[: len(transform)] = transform
    return agree, homography


def _caption(part: ImageSet, row: int) -> str:
    return part.names[row] if part.labels is None else part.classes[int(part.labels[row])]
