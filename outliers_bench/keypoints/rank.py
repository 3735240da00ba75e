"""Ranking and re-ranking by matching keypoints."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import repeat

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import one_opencv_thread
from outliers_bench.keypoints.keypoints import Descriptor, Keypoints, KeypointTable
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.match_tables import (
    Doubles,
    Pairs,
    match_tables,
    read_images,
)
from outliers_bench.keypoints.options import MatchOptions, Verify
from outliers_bench.keypoints.verify import MINIMUM, find_inliers
from outliers_bench.runtime.machine import map_in_threads
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import track
from outliers_bench.types import Exclusion, IntArray, Ranking

IMAGES_PER_TASK = 64  # gallery images per verification task of a query, which limits memory


def rank_by_keypoints(
    queries: KeypointTable,
    gallery: KeypointTable,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
    depth: int,
    order: IntArray,
    exclusion: Exclusion,
    meter: Meter,
) -> Ranking:
    """Rank the gallery for every query by inliers, then matches, then similarity.

    The score is the number of inliers, plus (matches + tie) / (n + 1) for a query with n keypoints,
    which is below 1: see `match_tables` for the tie-breaker. Images after the shortlist have no
    inliers. Without verification the score is matches + tie. A score is 0 only if one of the two
    images has no keypoints, so such gallery images rank last.

    Parameters
    ----------
    queries, gallery : KeypointTable
    descriptor : Descriptor
    options : MatchOptions
    depth : int
        Length of the ranking.
    order : array of int64, shape (n_gallery,)
        Permutation of the gallery: of equal scores, the item that is first in it ranks first.
    exclusion : Exclusion
    meter : Meter
        Records the time of matching, of verification, and of both as search.
    """
    is_verified = options.verify is not Verify.none
    n = len(order)
    shortlist = min(n, options.shortlist or n) if is_verified else 0
    with meter.stage("search"):
        with meter.stage("match"):
            indices, scores, matches = match_tables(
                queries,
                gallery,
                descriptor=descriptor,
                options=options,
                depth=max(shortlist, depth),
                order=order,
                exclusion=exclusion,
                pairs_depth=shortlist,
                min_matches=_min_matches(options) if is_verified else 0,
            )
        if is_verified:
            with meter.stage("verify"):
                sizes = np.fromiter(
                    map(len, read_images(queries)), dtype=np.int64, count=len(queries)
                )
                scores /= sizes[:, None] + 1
                scores[:, :shortlist] += _count_inliers(
                    queries,
                    gallery,
                    indices[:, :shortlist],
                    descriptor=descriptor,
                    options=options,
                    matches=matches,
                )
    return _sort(indices, scores, depth)


def rerank_by_keypoints(
    ranking: Ranking,
    queries: KeypointTable,
    gallery: KeypointTable,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
) -> Ranking:
    """Re-rank the first images of each row by inliers; ties retain their order.

    The score is the number of inliers plus the image's original similarity, mapped from any scale
    to [0, 1): arctan(s) / pi + 1 / 2. Images after the shortlist have no inliers.

    Parameters
    ----------
    ranking : Ranking
    queries, gallery : KeypointTable
    descriptor : Descriptor
    options : MatchOptions
        `shortlist` is the number of images that are re-ranked; `verify` must not be none.
    """
    shortlist = min(ranking.depth, options.shortlist or ranking.depth)
    inliers = _count_inliers(
        queries, gallery, ranking.indices[:, :shortlist], descriptor=descriptor, options=options
    )
    scores = np.clip(np.arctan(ranking.scores.astype(np.float64)) / np.pi + 0.5, 0, 1 - 2.0**-20)
    scores = np.minimum.accumulate(scores, axis=1)  # rounding may have made a score rise
    scores[ranking.indices < 0] = -np.inf
    first = _sort(ranking.indices[:, :shortlist], scores[:, :shortlist] + inliers, shortlist)
    others = ranking.indices[:, shortlist:], scores[:, shortlist:].astype(np.float32)
    return Ranking(
        np.concatenate([first.indices, others[0]], axis=1),
        np.concatenate([first.scores, others[1]], axis=1),
    )


def _count_inliers(
    queries: KeypointTable,
    gallery: KeypointTable,
    shortlist: IntArray,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
    matches: list[Pairs] | None = None,
) -> Doubles:
    """Count inliers of each query with each image of its shortlist; 0 if there are too few.

    If `matches` are given, images that are missing there have too few.
    """
    from threadpoolctl import threadpool_limits

    inliers = np.zeros(shortlist.shape)
    total = int((shortlist >= 0).sum()) if matches is None else sum(map(len, matches))

    def tasks() -> Iterator[tuple[int, list[int], Keypoints, list[Keypoints]]]:
        for row, query in enumerate(read_images(queries)):
            images = shortlist[row].tolist()
            verified = [
                column
                for column, image in enumerate(images)
                if (image >= 0 if matches is None else image in matches[row])
            ]
            for start in range(0, len(verified), IMAGES_PER_TASK):
                columns = verified[start : start + IMAGES_PER_TASK]
                yield row, columns, query, gallery.take(shortlist[row, columns])

    def verify(
        task: tuple[int, list[int], Keypoints, list[Keypoints]],
    ) -> tuple[int, list[int], list[int]]:
        row, columns, query, images = task
        of_images: list[npt.NDArray[np.integer]]
        if matches is None:
            of_images = _match(query, images, descriptor, options)
        else:
            of_images = [matches[row][i] for i in shortlist[row, columns].tolist()]
        pairs = zip(images, of_images, strict=True)
        return row, columns, [_count_pair_inliers(query, *pair, options) for pair in pairs]

    def pairs() -> Iterator[None]:
        for row, columns, counts in map_in_threads(verify, tasks()):
            inliers[row, columns] = counts
            yield from repeat(None, len(counts))

    with threadpool_limits(limits=1, user_api="blas"), one_opencv_thread():
        for _ in track(pairs(), stage="verify", total=total, unit="pairs"):
            pass
    return inliers


def _min_matches(options: MatchOptions) -> int:
    """Return the minimum number of matches of a pair for its inliers to count."""
    return max(options.min_inliers, MINIMUM[options.verify])


def _match(
    query: Keypoints, images: list[Keypoints], descriptor: Descriptor, options: MatchOptions
) -> list[npt.NDArray[np.integer]]:
    own = descriptor.vectors(query.descriptors)
    vectors = (descriptor.vectors(image.descriptors) for image in images)
    return [match_pair(own, v, options=options, power=descriptor.power)[0] for v in vectors]


def _count_pair_inliers(
    query: Keypoints,
    gallery: Keypoints,
    matches: npt.NDArray[np.integer],
    options: MatchOptions,
) -> int:
    if len(matches) < _min_matches(options):
        return 0
    is_inlier, _ = find_inliers(
        query.points[matches[:, 0]],
        gallery.points[matches[:, 1]],
        options.verify,
        options.reproj_threshold,
    )
    count = int(is_inlier.sum())
    return count if count >= options.min_inliers else 0


def _sort(indices: IntArray, scores: Doubles, depth: int) -> Ranking:
    """Sort each row by descending score and truncate it; ties retain their order."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return Ranking(
        np.take_along_axis(indices, best, axis=1),
        np.take_along_axis(scores, best, axis=1).astype(np.float32),
    )
