"""Keypoint matching of all pairs of two tables, in blocks, tiles and threads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from outliers_bench.keypoints.keypoints import Descriptor, Keypoints, KeypointTable
from outliers_bench.keypoints.match import (
    Matches,
    find_matches,
    padded_rows,
    self_product,
    stack,
    to_integers,
)
from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.runtime.machine import map_in_threads
from outliers_bench.runtime.progress import track
from outliers_bench.types import Exclusion, FloatArray, IntArray

Doubles = npt.NDArray[np.float64]
Pairs: TypeAlias = dict[int, npt.NDArray[np.int16]]  # by image: query row and gallery row
BLOCK_BYTES = 64 * 2**20  # gallery vectors in float32 per block
READ_IMAGES = 32  # images per read
TILE_ROWS = 4000  # gallery vectors per matrix product: the result should fit in the CPU cache
TIE_MARGIN = 2.0**-20  # distance of the tie-breaker from 0 and 1


def match_tables(
    queries: KeypointTable,
    gallery: KeypointTable,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
    depth: int,
    order: IntArray,
    exclusion: Exclusion,
    pairs_depth: int = 0,
    min_matches: int = 1,
) -> tuple[IntArray, Doubles, list[Pairs]]:
    """Count the matches of every query image with every gallery image; see `match_pair`.

    The gallery is read once, in blocks; the queries are read once per block. Peak memory: two
    blocks of vectors (2 * `BLOCK_BYTES`, a quarter more for descriptors as read); per core, twice
    the products of a query with a tile, 4 * n * max(`TILE_ROWS`, n) bytes for n keypoints per
    image, and a query's vectors; the results, 16 * n_query * depth bytes; and 4 bytes per returned
    match.

    Parameters
    ----------
    queries, gallery : KeypointTable
    descriptor : Descriptor
    options : MatchOptions
        Only `ratio` and `cross_check` are used.
    depth : int
        Number of gallery images to return per query.
    order : array of int64, shape (n_gallery,)
        Permutation of the gallery: of equal scores, the item that is first in it ranks first.
    exclusion : Exclusion
    pairs_depth : int
        Number of the best gallery images per query for which to return the matches themselves.
    min_matches : int
        Minimum number of matches of an image for which to return them.

    Returns
    -------
    indices : array of int64, shape (n_query, depth)
        Positions in the gallery, best first; -1 at the end of a row that has fewer.
    scores : array of float64, shape (n_query, depth)
        Number of matches plus a tie-breaker between 0 and 1: the mean, over the query's keypoints,
        of the highest similarity. Exactly 0 if one of the two images has no keypoints, -inf where
        there is no image.
    pairs : list of dict, one per query
        Pairs as returned by `match_pair`, as int16, by gallery position.
    """
    from threadpoolctl import threadpool_limits

    best = _Best(len(queries), depth, pairs_depth)

    def pairs() -> Iterator[None]:
        for i, start, scores, matches in map_in_threads(count, tasks):
            images = order[start : start + len(scores)]
            scores[exclusion.mask(slice(i, i + 1), images[None])[0]] = -np.inf
            best.merge(i, images, scores, matches)
            yield from repeat(None, len(scores))

    tasks = (
        (i, keypoints, block)
        for block in _blocks(gallery, order, descriptor)
        for i, keypoints in enumerate(read_images(queries))
    )

    def count(task: tuple[int, Keypoints, _Block]) -> tuple[int, int, Doubles, Pairs]:
        i, keypoints, block = task
        minimum = min_matches if pairs_depth else 0
        return i, block.start, *_count_matches(keypoints, block, descriptor, options, minimum)

    total = len(queries) * len(order)
    # Queries are processed in threads, so BLAS must not start its own.
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in track(pairs(), stage="match", total=total, unit="pairs"):
            pass
    best.indices[np.isneginf(best.scores)] = -1  # excluded
    return best.indices, best.scores, best.pairs


def read_images(table: KeypointTable) -> Iterator[Keypoints]:
    """Yield the keypoints of each image, reading some images in advance."""
    for first in range(0, len(table), READ_IMAGES):
        yield from table.take(range(first, min(first + READ_IMAGES, len(table))))


@dataclass(frozen=True, eq=False)
class _Block:
    """Gallery images `start`, `start` + 1, ... in the given order, tiled by similar size."""

    start: int
    size: int
    tiles: list[tuple[IntArray, FloatArray]]  # positions in the block; shape (images, rows, d)


class _Best:
    """Best gallery images so far of each query."""

    def __init__(self, n_query: int, depth: int, pairs_depth: int) -> None:
        self.indices = np.full((n_query, depth), -1, dtype=np.int64)
        self.scores = np.full((n_query, depth), -np.inf)
        self.pairs: list[Pairs] = [{} for _ in range(n_query)]
        self._pairs_depth = pairs_depth

    def merge(self, i: int, indices: IntArray, scores: Doubles, matches: Pairs) -> None:
        """Merge more gallery images into the best of query i; of ties, earlier ones rank first.

        `matches` are by position in `indices`.
        """
        depth = self.scores.shape[1]
        scores = np.concatenate([self.scores[i], scores])
        indices_so_far = np.concatenate([self.indices[i], indices])
        best = np.argsort(-scores, kind="stable")[:depth]
        if self._pairs_depth:
            pairs = self.pairs[i] | {int(indices[at]): match for at, match in matches.items()}
            first = indices_so_far[best[: self._pairs_depth]].tolist()
            self.pairs[i] = {index: pairs[index] for index in first if index in pairs}
        self.indices[i] = indices_so_far[best]
        self.scores[i] = scores[best]


def _blocks(table: KeypointTable, order: IntArray, descriptor: Descriptor) -> Iterator[_Block]:
    max_rows = BLOCK_BYTES // (4 * descriptor.dimensions)
    start, images, rows = 0, list[Keypoints](), 0
    for first in range(0, len(order), READ_IMAGES):
        for image in table.take(order[first : first + READ_IMAGES]):
            added = padded_rows(len(image))
            if images and rows + added > max_rows:
                yield _create_block(start, images, descriptor)
                start, images, rows = start + len(images), [], 0
            images.append(image)
            rows += added
    if images:
        yield _create_block(start, images, descriptor)


def _create_block(start: int, images: Sequence[Keypoints], descriptor: Descriptor) -> _Block:
    by_size = sorted(
        (position for position, image in enumerate(images) if len(image)),
        key=lambda position: len(images[position]),
    )
    groups: list[list[int]] = []
    for position in by_size:
        if groups and (len(groups[-1]) + 1) * padded_rows(len(images[position])) <= TILE_ROWS:
            groups[-1].append(position)
        else:
            groups.append([position])

    def vectors(position: int) -> FloatArray:
        return to_integers(descriptor.vectors(images[position].descriptors), descriptor.power)

    tiles = [(np.asarray(group), stack([vectors(i) for i in group])) for group in groups]
    return _Block(start, len(images), tiles)


def _count_matches(
    keypoints: Keypoints,
    block: _Block,
    descriptor: Descriptor,
    options: MatchOptions,
    min_matches: int,
) -> tuple[Doubles, Pairs]:
    """Score a query with a block; return the pairs of images with enough matches too, 0: none."""
    pairs: Pairs = {}
    scores = np.zeros(block.size)
    n = len(keypoints)
    if not n:
        return scores, pairs
    power = descriptor.power
    query = to_integers(descriptor.vectors(keypoints.descriptors), power)
    unit = self_product(descriptor.dimensions, power)
    largest = max((tile.shape[0] * tile.shape[1] for _, tile in block.tiles), default=0)
    buffer = np.empty((largest, n), dtype=np.float32)
    for positions, tile in block.tiles:
        images, rows, d = tile.shape
        products = np.matmul(tile.reshape(-1, d), query.T, out=buffer[: images * rows])
        matches, best = find_matches(
            products.reshape(images, rows, n),
            options.ratio**power,
            unit,
            cross_check=options.cross_check,
        )
        counts = np.bincount(matches.image, minlength=images)
        similarity = best.sum(axis=1, dtype=np.float64) / (n * unit)
        scores[positions] = counts + np.clip(similarity, TIE_MARGIN, 1 - TIE_MARGIN)
        if min_matches:
            pairs |= _group_by_image(matches, positions, counts, min_matches)
    return scores, pairs


def _group_by_image(
    matches: Matches, positions: IntArray, counts: IntArray, min_matches: int
) -> Pairs:
    """Group matches by position of the image, sorted by query row; drop images with too few."""
    order = np.lexsort((matches.query, matches.image))
    pairs = np.stack([matches.query[order], matches.gallery[order]], axis=1).astype(np.int16)
    ends = np.cumsum(counts)
    return {
        int(positions[image]): pairs[ends[image] - counts[image] : ends[image]].copy()
        for image in np.flatnonzero(counts >= min_matches)
    }
