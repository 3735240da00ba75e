"""Rankings by matching keypoints, and rankings of others put in order by them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat

import numpy as np
import numpy.typing as npt

from outliers_bench.data.opencv import one_opencv_thread
from outliers_bench.keypoints.keypoints import Descriptor, Keypoints, KeypointTable
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.match_tables import (
    Doubles,
    Pairs,
    in_threads,
    match_tables,
    read,
)
from outliers_bench.keypoints.options import MatchOptions, Verify
from outliers_bench.keypoints.verify import MINIMUM, inliers
from outliers_bench.runtime.meter import Meter
from outliers_bench.runtime.progress import track
from outliers_bench.types import IntArray, Ranking

SLICE = 64  # gallery images that a query is verified against at a time, for memory


def rank_by_keypoints(
    queries: KeypointTable,
    gallery: KeypointTable,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
    depth: int,
    order: IntArray,
    leave_one_out: bool = False,
    meter: Meter | None = None,
) -> Ranking:
    """Rank the gallery for every query by inliers, then matches, then likeness.

    The score is the number of inliers, plus (matches + tie) / (n + 1) for a query with n keypoints,
    which is below 1: see `match_tables` for the tie-breaker. Images after the shortlist have no
    inliers. Without verification the score is matches + tie. A score is 0 only where one of the
    two images has no keypoints, so such gallery images come last.

    Parameters
    ----------
    queries, gallery : KeypointTable
    descriptor : Descriptor
        What both tables hold.
    options : MatchOptions
    depth : int
        Length of the ranking, at most n_gallery (n_gallery - 1 where `leave_one_out`).
    order : array of int64, shape (n_gallery,)
        Permutation of the gallery: of equal scores, the one that comes first in it wins.
    leave_one_out : bool
        Whether query i is gallery item i, to be left out of its own ranking by identity.
    meter : Meter, optional
        Takes down the time of matching and verifying, and of both as searching.

    Returns
    -------
    Ranking
    """
    meter = meter or Meter()
    most = len(gallery) - int(leave_one_out)
    verified = options.verify is not Verify.none
    shortlist = min(most, options.shortlist or most) if verified else 0
    with meter.stage("search"):
        with meter.stage("match"):
            indices, scores, known = match_tables(
                queries,
                gallery,
                descriptor=descriptor,
                options=options,
                keep=max(shortlist, depth),
                order=order,
                leave_one_out=leave_one_out,
                remember=shortlist,
                at_least=_fewest(options) if verified else 0,
            )
        if verified:
            with meter.stage("verify"):
                sizes = np.fromiter(map(len, read(queries)), dtype=np.int64, count=len(queries))
                scores /= sizes[:, None] + 1
                scores[:, :shortlist] += _count_inliers(
                    queries,
                    gallery,
                    indices[:, :shortlist],
                    descriptor=descriptor,
                    options=options,
                    known=known,
                )
    return _sorted(indices, scores, depth)


def rerank_by_keypoints(
    ranking: Ranking,
    queries: KeypointTable,
    gallery: KeypointTable,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
) -> Ranking:
    """Put the first images of each row in order by inliers; equally many leave the order as it is.

    The score is the number of inliers plus the image's own similarity, squeezed from whatever
    scale it has into [0, 1): arctan(s) / pi + 1 / 2. What follows the shortlist has no inliers.

    Parameters
    ----------
    ranking : Ranking
        By whatever method.
    queries, gallery : KeypointTable
        The ranking's rows, and the images that its indices mean.
    descriptor : Descriptor
        What both tables hold.
    options : MatchOptions
        `shortlist` says how many are put in order; `verify` must not be none.

    Returns
    -------
    Ranking
        As deep as the old one.
    """
    shortlist = min(ranking.depth, options.shortlist or ranking.depth)
    similarities = ranking.scores.astype(np.float64)
    scores = np.clip(np.arctan(similarities) / np.pi + 0.5, 0, 1 - 2.0**-20)
    scores = np.minimum.accumulate(scores, axis=1)  # should rounding have made one rise
    first = ranking.indices[:, :shortlist]
    scores[:, :shortlist] += _count_inliers(
        queries, gallery, first, descriptor=descriptor, options=options
    )
    return _sorted(ranking.indices, scores, ranking.depth)


@dataclass(frozen=True, eq=False)
class _Task:
    row: int
    columns: list[int]
    query: Keypoints
    gallery: list[Keypoints]


def _count_inliers(
    queries: KeypointTable,
    gallery: KeypointTable,
    shortlist: IntArray,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
    known: list[Pairs] | None = None,
) -> Doubles:
    """Inliers of each query with each image of its shortlist; 0 where they are too few.

    Where matches are `known`, images that are missing there have too few for any to count.
    """
    from threadpoolctl import threadpool_limits

    found = np.zeros(shortlist.shape)
    total = shortlist.size if known is None else sum(map(len, known))

    def tasks() -> Iterator[_Task]:
        for row, query in enumerate(read(queries)):
            images = shortlist[row].tolist()
            wanted = [c for c, i in enumerate(images) if known is None or i in known[row]]
            for start in range(0, len(wanted), SLICE):
                columns = wanted[start : start + SLICE]
                yield _Task(row, columns, query, gallery.take(shortlist[row, columns]))

    def verify(task: _Task) -> tuple[_Task, list[int]]:
        matches: Sequence[npt.NDArray[np.integer]]
        if known is not None:
            matches = [known[task.row][i] for i in shortlist[task.row, task.columns].tolist()]
        else:
            matches = _matches(task, descriptor, options)
        pairs = zip(task.gallery, matches, strict=True)
        return task, [_inliers(task.query, image, found, options) for image, found in pairs]

    def pairs() -> Iterator[None]:
        for task, counts in in_threads(verify, tasks()):
            found[task.row, task.columns] = counts
            yield from repeat(None, len(counts))

    with threadpool_limits(limits=1, user_api="blas"), one_opencv_thread():
        for _ in track(pairs(), stage="verify", total=total, unit="pairs"):
            pass
    return found


def _fewest(options: MatchOptions) -> int:
    """Matches that a pair needs, to have inliers that count."""
    return max(options.min_inliers, MINIMUM[options.verify])


def _matches(
    task: _Task, descriptor: Descriptor, options: MatchOptions
) -> list[npt.NDArray[np.integer]]:
    query = descriptor.vectors(task.query.descriptors)
    vectors = (descriptor.vectors(image.descriptors) for image in task.gallery)
    return [match_pair(query, v, options=options, power=descriptor.power)[0] for v in vectors]


def _inliers(
    query: Keypoints,
    gallery: Keypoints,
    matches: npt.NDArray[np.integer],
    options: MatchOptions,
) -> int:
    if len(matches) < _fewest(options):
        return 0
    agree, _ = inliers(
        query.points[matches[:, 0]],
        gallery.points[matches[:, 1]],
        options.verify,
        options.reproj_threshold,
    )
    count = int(agree.sum())
    return count if count >= options.min_inliers else 0


def _sorted(indices: IntArray, scores: Doubles, depth: int) -> Ranking:
    """The best of each row, best first; equal scores stay in order."""
    best = np.argsort(-scores, axis=1, kind="stable")[:, :depth]
    return Ranking(
        np.take_along_axis(indices, best, axis=1),
        np.take_along_axis(scores, best, axis=1).astype(np.float32),
    )
