"""How many keypoints match, for all pairs of two tables: in blocks, tiles and threads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from outliers_bench.keypoints.keypoints import Descriptor, Keypoints, KeypointTable
from outliers_bench.keypoints.match import (
    Matches,
    find_matches,
    padded,
    self_product,
    stacked,
    whole,
)
from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.types import FloatArray, IntArray

Doubles = npt.NDArray[np.float64]
Pairs: TypeAlias = dict[int, npt.NDArray[np.int16]]  # by image: query row and gallery row
Item = TypeVar("Item")
Found = TypeVar("Found")
BLOCK_BYTES = 64 * 2**20  # gallery vectors in float32 at a time
READ_IMAGES = 32  # images read at a time
TILE_ROWS = 4000  # gallery vectors in a matrix product: what comes out should stay in the cache
SLIVER = 2.0**-20  # keeps the tie-breaker off its ends


def match_tables(
    queries: KeypointTable,
    gallery: KeypointTable,
    *,
    descriptor: Descriptor,
    options: MatchOptions,
    keep: int,
    order: IntArray,
    leave_one_out: bool = False,
    remember: int = 0,
    at_least: int = 1,
) -> tuple[IntArray, Doubles, list[Pairs]]:
    """Count the matches of every query image with every gallery image; see `match_pair`.

    The gallery is read once, in blocks, the queries once for each block. Next to each other lie in
    memory, at most: two blocks of vectors (2 * `BLOCK_BYTES`, a quarter more for descriptors as
    read); for each core the products of a query with a tile, 4 * n * max(`TILE_ROWS`, n) bytes
    twice for n keypoints an image, and a query's vectors; the best, 16 * n_query * keep bytes; and
    4 bytes a match that is remembered.

    Parameters
    ----------
    queries, gallery : KeypointTable
    descriptor : Descriptor
        What both tables hold.
    options : MatchOptions
        `ratio` and `cross_check` are looked at.
    keep : int
        How many gallery images to return for each query.
    order : array of int64, shape (n_gallery,)
        Permutation of the gallery: of equal scores, the one that comes first in it wins.
    leave_one_out : bool
        Whether query i is gallery item i, to be left out by identity.
    remember : int
        For how many of the best gallery images to return the matches themselves.
    at_least : int
        Matches of images with fewer than that are not remembered.

    Returns
    -------
    indices : array of int64, shape (n_query, keep)
        Positions in the gallery, best first.
    scores : array of float64, shape (n_query, keep)
        Number of matches, plus something above 0 and below 1 to tell those with equally many
        apart: the mean, over the query's keypoints, of the highest similarity. Exactly 0 where
        one of the two images has no keypoints.
    pairs : list of dict, one a query
        Gallery position to what `match_pair` gives as pairs, as int16.
    """
    from threadpoolctl import threadpool_limits

    best = _Best(len(queries), keep, remember)
    itself = np.argsort(order) if leave_one_out else None

    def pairs() -> Iterator[None]:
        for i, start, scores, matches in in_threads(_count, tasks()):
            if itself is not None and 0 <= itself[i] - start < len(scores):
                scores[itself[i] - start] = -np.inf
            best.merge(i, order[start : start + len(scores)], scores, matches)
            yield from repeat(None, len(scores))

    def tasks() -> Iterator[_Task]:
        for block in _blocks(gallery, order, descriptor):
            for i, keypoints in enumerate(read(queries)):
                yield _Task(i, keypoints, block, descriptor, options, at_least if remember else 0)

    total = len(queries) * len(order)
    # The threads are over queries: those of BLAS would only stand in their way.
    with threadpool_limits(limits=1, user_api="blas"):
        for _ in track(pairs(), stage="match", total=total, unit="pairs"):
            pass
    return best.indices, best.scores, best.pairs


def read(table: KeypointTable) -> Iterator[Keypoints]:
    """The keypoints of one image after the other, some read in advance."""
    for first in range(0, len(table), READ_IMAGES):
        yield from table.take(range(first, min(first + READ_IMAGES, len(table))))


def in_threads(work: Callable[[Item], Found], items: Iterable[Item]) -> Iterator[Found]:
    """Results of `work` on all items in their order, one thread a core, few items at a time."""
    workers = cores()
    pending: deque[Future[Found]] = deque()
    with ThreadPoolExecutor(workers) as pool:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > 2 * workers:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()


@dataclass(frozen=True, eq=False)
class _Block:
    """Gallery images `start`, `start` + 1, ... in the given order, of like sizes in tiles."""

    start: int
    size: int
    tiles: list[tuple[IntArray, FloatArray]]  # places in the block; shape (images, rows, d)


@dataclass(frozen=True, eq=False)
class _Task:
    query: int
    keypoints: Keypoints
    block: _Block
    descriptor: Descriptor
    options: MatchOptions
    at_least: int  # matches of an image that are worth returning; 0: none are


class _Best:
    """The best of what has been seen, for each query."""

    def __init__(self, n_query: int, keep: int, remember: int) -> None:
        self.indices = np.full((n_query, keep), -1, dtype=np.int64)
        self.scores = np.full((n_query, keep), -np.inf)
        self.pairs: list[Pairs] = [{} for _ in range(n_query)]
        self._remember = remember

    def merge(self, i: int, indices: IntArray, scores: Doubles, matches: Pairs) -> None:
        """Let more of the gallery compete for query i; of equals, those seen earlier win.

        `matches` are by place in `indices`.
        """
        keep = self.scores.shape[1]
        scores = np.concatenate([self.scores[i], scores])
        winners = np.argsort(-scores, kind="stable")[:keep]
        if self._remember:
            known = self.pairs[i] | {int(indices[place]): m for place, m in matches.items()}
            first = np.concatenate([self.indices[i], indices])[winners[: self._remember]].tolist()
            self.pairs[i] = {index: known[index] for index in first if index in known}
        self.indices[i] = np.concatenate([self.indices[i], indices])[winners]
        self.scores[i] = scores[winners]


def _blocks(table: KeypointTable, order: IntArray, descriptor: Descriptor) -> Iterator[_Block]:
    most = BLOCK_BYTES // (4 * descriptor.dimensions)
    start, images, rows = 0, list[Keypoints](), 0
    for first in range(0, len(order), READ_IMAGES):
        for image in table.take(order[first : first + READ_IMAGES]):
            more = padded(len(image))
            if images and rows + more > most:
                yield _block(start, images, descriptor)
                start, images, rows = start + len(images), [], 0
            images.append(image)
            rows += more
    if images:
        yield _block(start, images, descriptor)


def _block(start: int, images: Sequence[Keypoints], descriptor: Descriptor) -> _Block:
    by_size = sorted(
        (place for place, image in enumerate(images) if len(image)),
        key=lambda place: len(images[place]),
    )
    groups: list[list[int]] = []
    for place in by_size:
        if groups and (len(groups[-1]) + 1) * padded(len(images[place])) <= TILE_ROWS:
            groups[-1].append(place)
        else:
            groups.append([place])
    tiles = [
        (
            np.asarray(group),
            stacked(
                [whole(descriptor.vectors(images[i].descriptors), descriptor.power) for i in group]
            ),
        )
        for group in groups
    ]
    return _Block(start, len(images), tiles)


def _count(task: _Task) -> tuple[int, int, Doubles, Pairs]:
    """Score a query with all images of a block: its number, the block's start, scores, matches."""
    remembered: Pairs = {}
    scores = np.zeros(task.block.size)
    n = len(task.keypoints)
    if not n:
        return task.query, task.block.start, scores, remembered
    power = task.descriptor.power
    query = whole(task.descriptor.vectors(task.keypoints.descriptors), power)
    unit = self_product(task.descriptor.dimensions, power)
    largest = max((tile.shape[0] * tile.shape[1] for _, tile in task.block.tiles), default=0)
    memory = np.empty((largest, n), dtype=np.float32)
    for places, tile in task.block.tiles:
        images, rows, d = tile.shape
        products = np.matmul(tile.reshape(-1, d), query.T, out=memory[: images * rows])
        found, best = find_matches(
            products.reshape(images, rows, n),
            task.options.ratio**power,
            unit,
            cross_check=task.options.cross_check,
        )
        matches = np.bincount(found.image, minlength=images)
        likeness = best.sum(axis=1, dtype=np.float64) / (n * unit)
        scores[places] = matches + np.clip(likeness, SLIVER, 1 - SLIVER)
        if task.at_least:
            remembered |= _by_image(found, places, matches, task.at_least)
    return task.query, task.block.start, scores, remembered


def _by_image(found: Matches, places: IntArray, matches: IntArray, at_least: int) -> Pairs:
    """Matches by the place of the image, each sorted by query row, of those that have enough."""
    order = np.lexsort((found.query, found.image))
    pairs = np.stack([found.query[order], found.gallery[order]], axis=1).astype(np.int16)
    ends = np.cumsum(matches)
    return {
        int(places[image]): pairs[ends[image] - matches[image] : ends[image]].copy()
        for image in np.flatnonzero(matches >= at_least)
    }
