"""Images with keypoints in planted positions, and rankings of them."""

import numpy as np

from outliers_bench.keypoints.keypoints import DESCRIPTORS, Keypoints
from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.keypoints.rank import rank_by_keypoints, rerank_by_keypoints
from outliers_bench.runtime.meter import Meter
from tests.toys import exclude_nothing

SIFT, ORB = DESCRIPTORS["sift"], DESCRIPTORS["orb"]


class Images(list):
    def take(self, rows):
        return [self[row] for row in rows]


def features(rng, n, kind=SIFT):
    if kind.bits:
        return rng.integers(0, 256, (n, kind.nbytes)).astype(np.uint8)
    return rng.gamma(0.4, 40, (n, kind.nbytes)).clip(0, 255).astype(np.uint8)


def view(rng, query, shared, *, right, extra=10, kind=SIFT):
    """Create an image with descriptors of the query, the first `right` at correct positions."""
    points = rng.uniform(0, 300, (shared + extra, 2))
    points[:right] = query.points[:right] * 0.9 + [12, 20]
    descriptors = np.concatenate([query.descriptors[:shared], features(rng, extra, kind)])
    return Keypoints(points.astype(np.float32), descriptors)


def photo(rng, n=40, kind=SIFT):
    return Keypoints(rng.uniform(0, 300, (n, 2)).astype(np.float32), features(rng, n, kind))


NONE = Keypoints(np.empty((0, 2), np.float32), np.empty((0, 128), np.uint8))


def rank_images(queries, gallery, options=None, *, kind=SIFT, depth=None, order=None, **more):
    more = {"exclusion": exclude_nothing(queries, gallery), "meter": Meter(), **more}
    n = more["exclusion"].max_depth
    return rank_by_keypoints(
        Images(queries),
        Images(gallery),
        descriptor=kind,
        options=options or MatchOptions(),
        depth=n if depth is None else depth,
        order=np.arange(len(gallery)) if order is None else order,
        **more,
    )


def rerank_images(ranking, queries, gallery, options=None):
    return rerank_by_keypoints(
        ranking,
        Images(queries),
        Images(gallery),
        descriptor=SIFT,
        options=options or MatchOptions(),
    )


def varied_images(rng):
    """Create queries and a gallery of varying similarity, with duplicates and empty images."""
    queries = [photo(rng), photo(rng), NONE, photo(rng, 3)]
    gallery = [
        view(rng, queries[i % 2], shared, right=int(shared * rng.random()))
        for i, shared in enumerate(rng.integers(0, 30, 20))
    ]
    gallery += [NONE, photo(rng, 1), gallery[3], gallery[4], gallery[3], NONE]
    return queries, gallery
