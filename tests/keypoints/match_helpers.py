"""Images with keypoints that match, and matching them by pair, by table and by a reference."""

import numpy as np
import pytest

from outliers_bench.keypoints.keypoints import DESCRIPTORS, Keypoints
from outliers_bench.keypoints.match import match_pair
from outliers_bench.keypoints.match_tables import match_tables
from outliers_bench.keypoints.options import MatchOptions
from tests.toys import exclude_nothing

KINDS = list(DESCRIPTORS.values())


by_kind = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)


class Images(list):
    """Table in memory that counts how often an image is read."""

    def __init__(self, images):
        super().__init__(images)
        self.reads = np.zeros(len(self), dtype=int)

    def take(self, rows):
        self.reads[np.asarray(rows, dtype=int)] += 1
        return [self[row] for row in rows]


def images(kind, sizes, *, seed, scene=0):
    """Create images of noisy parts of a scene, so that some keypoints match."""
    rng = np.random.default_rng(scene)
    if kind.bits:
        known = rng.integers(0, 256, (90, kind.nbytes))
    else:
        known = rng.gamma(0.4, 40, (90, kind.nbytes)).clip(0, 255)
    rng = np.random.default_rng(seed)
    table = []
    for size in sizes:
        values = known[np.arange(size) % 80 + rng.integers(0, 10)]
        if kind.bits:
            flips = rng.random((size, kind.nbytes, 8)) < rng.uniform(0, 0.45, (size, 1, 1))
            values = values ^ np.packbits(flips, axis=2)[..., 0]
            values[:, -1] &= 0xFF << (8 * kind.nbytes - kind.bits)  # AKAZE leaves two bits empty
        else:
            values = values + rng.normal(0, 1, values.shape) * rng.uniform(0, 60, (size, 1))
        values = values.clip(0, 255).astype(np.uint8)
        table.append(Keypoints(rng.uniform(0, 300, (size, 2)).astype(np.float32), values))
    return Images(table)


def to_integers(kind, keypoints):
    """Round descriptors as the implementation does, in float64."""
    vectors = kind.vectors(keypoints.descriptors).astype(np.float64)
    return np.sign(vectors) if kind.bits else np.rint(4000 * vectors)


def reference_match(kind, query, gallery, options):
    """Match one keypoint at a time; return similarities by pair, and the score."""
    if not len(query) or not len(gallery):
        return {}, 0.0
    s = to_integers(kind, query) @ to_integers(kind, gallery).T
    unit = kind.bits or 4000**2
    match_of = {}
    for i, row in enumerate(s):
        j = int(np.argmax(row))
        second = max([0, *np.delete(row, j)])
        passes = unit - row[j] < options.ratio**kind.power * (unit - second)
        if row[j] <= 0 or not (passes or options.ratio == 1):
            continue
        if options.cross_check and np.argmax(s[:, j]) != i:
            continue
        if j not in match_of or row[j] > s[match_of[j], j]:
            match_of[j] = i
    best = np.maximum(s.max(axis=1), 0).sum() / (len(query) * unit)
    pairs = {(i, j): np.float32(s[i, j] / unit) for j, i in match_of.items()}
    return pairs, len(pairs) + np.clip(best, 2**-20, 1 - 2**-20)


def match_keypoints(kind, query, gallery, options=None):
    a, b = kind.vectors(query.descriptors), kind.vectors(gallery.descriptors)
    pairs, s = match_pair(a, b, options=options or MatchOptions(), power=kind.power)
    assert pairs.dtype == np.int64
    assert s.dtype == np.float32
    return dict(zip(map(tuple, pairs.tolist()), s, strict=True))


def match_images(kind, queries, gallery, options=None, *, order=None, depth=None, **more):
    return match_with_pairs(kind, queries, gallery, options, order=order, depth=depth, **more)[:2]


def match_with_pairs(kind, queries, gallery, options=None, *, order=None, depth=None, **more):
    n = len(gallery)
    more = {"exclusion": exclude_nothing(queries, gallery), **more}
    return match_tables(
        queries,
        gallery,
        descriptor=kind,
        options=options or MatchOptions(),
        depth=n if depth is None else depth,
        order=np.arange(n) if order is None else order,
        **more,
    )
