"""Which keypoints of two images match, and how many do for all pairs of two tables."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import repeat
from typing import TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt

from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.keypoints.types import Descriptor, Keypoints, KeypointTable
from outliers_bench.machine import cores
from outliers_bench.progress import track
from outliers_bench.types import FloatArray, IntArray

Doubles = npt.NDArray[np.float64]
Pairs: TypeAlias = dict[int, npt.NDArray[np.int16]]  # by image: query row and gallery row
Item = TypeVar("Item")
Found = TypeVar("Found")

BLOCK_BYTES = 64 * 2**20  # gallery vectors in float32 at a time
READ_IMAGES = 32  # images read at a time
TILE_ROWS = 4000  # gallery vectors in a matrix product: what comes out should stay in the cache
GROUPS = 10  # parts of an image whose best similarities are compared first
STEPS = 4000  # to a unit: products of vectors rounded to that fit the 24 bits of float32
SLIVER = 2.0**-20  # keeps the tie-breaker off its ends


def match_pair(
    query: FloatArray, gallery: FloatArray, *, options: MatchOptions, power: int
) -> tuple[IntArray, FloatArray]:
    """Match the keypoints of two images.

    A query keypoint matches its most similar gallery keypoint if their similarity is above 0, and
    clearly above that of the second most similar (Lowe, "Distinctive image features from
    scale-invariant keypoints", IJCV 2004): 1 - s1 < ratio ** power * (1 - s2). An unrelated
    keypoint, s = 0, always stands by as second, so one gallery keypoint suffices. With ratio 1
    nothing is asked of the second. Of several query keypoints that match the same gallery keypoint
    only the most similar stays. Of equally similar keypoints the first is the nearest.

    Parameters
    ----------
    query : array of float32, shape (n_query, d)
        Unit vectors, from `Descriptor.vectors`.
    gallery : array of float32, shape (n_gallery, d)
    options : MatchOptions
        `ratio` and `mutual` are looked at.
    power : int
        `Descriptor.power`; 1 stands for vectors of bits, too.

    Returns
    -------
    pairs : array of int64, shape (m, 2)
        Query row and gallery row, sorted by query row.
    similarities : array of float32, shape (m,)
    """
    if not len(query) or not len(gallery):
        return np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32)
    rows = _tile([_whole(gallery, power)])
    products = rows @ _whole(query, power).T
    unit = _unit(query.shape[1], power)
    found, _ = _matches(products, options.ratio**power, unit, mutual=options.mutual)
    found = found.take(np.argsort(found.query, kind="stable"))
    similarities = (found.products / unit).astype(np.float32)
    return np.stack([found.query, found.gallery], axis=1), similarities


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
        `ratio` and `mutual` are looked at.
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


@dataclass(frozen=True, eq=False)
class _Matches:
    """Matches of one query image with several others: four arrays of one length."""

    image: IntArray
    query: IntArray
    gallery: IntArray
    products: FloatArray

    def take(self, rows: IntArray | npt.NDArray[np.bool_]) -> _Matches:
        return _Matches(self.image[rows], self.query[rows], self.gallery[rows], self.products[rows])


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
            more = _padded(len(image))
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
        if groups and (len(groups[-1]) + 1) * _padded(len(images[place])) <= TILE_ROWS:
            groups[-1].append(place)
        else:
            groups.append([place])
    tiles = [
        (
            np.asarray(group),
            _tile(
                [_whole(descriptor.vectors(images[i].descriptors), descriptor.power) for i in group]
            ),
        )
        for group in groups
    ]
    return _Block(start, len(images), tiles)


def _tile(images: Sequence[FloatArray]) -> FloatArray:
    """The vectors of all images as one array; zeros, which are like nothing, fill it up."""
    rows = _padded(max(map(len, images)))
    tile = np.zeros((len(images), rows, images[0].shape[1]), dtype=np.float32)
    for filled, vectors in zip(tile, images, strict=True):
        filled[: len(vectors)] = vectors
    return tile


def _padded(rows: int) -> int:
    return -(-rows // GROUPS) * GROUPS


def _whole(vectors: FloatArray, power: int) -> FloatArray:
    """Vectors in whole numbers, so that products are exact.

    BLAS adds up in an order that depends on where a row stands and on the processor. Exact sums
    do not: the same photo twice in a gallery scores the same, on every machine.
    """
    return np.sign(vectors) if power == 1 else np.rint(vectors * np.float32(STEPS))


def _unit(dimensions: int, power: int) -> int:
    """The product of a vector with itself."""
    return dimensions if power == 1 else STEPS * STEPS


def _count(task: _Task) -> tuple[int, int, Doubles, Pairs]:
    """Score a query with all images of a block: its number, the block's start, scores, matches."""
    remembered: Pairs = {}
    scores = np.zeros(task.block.size)
    n = len(task.keypoints)
    if not n:
        return task.query, task.block.start, scores, remembered
    power = task.descriptor.power
    query = _whole(task.descriptor.vectors(task.keypoints.descriptors), power)
    unit = _unit(task.descriptor.dimensions, power)
    largest = max((tile.shape[0] * tile.shape[1] for _, tile in task.block.tiles), default=0)
    memory = np.empty((largest, n), dtype=np.float32)
    for places, tile in task.block.tiles:
        images, rows, d = tile.shape
        products = np.matmul(tile.reshape(-1, d), query.T, out=memory[: images * rows])
        found, best = _matches(
            products.reshape(images, rows, n),
            task.options.ratio**power,
            unit,
            mutual=task.options.mutual,
        )
        matches = np.bincount(found.image, minlength=images)
        likeness = best.sum(axis=1, dtype=np.float64) / (n * unit)
        scores[places] = matches + np.clip(likeness, SLIVER, 1 - SLIVER)
        if task.at_least:
            remembered |= _by_image(found, places, matches, task.at_least)
    return task.query, task.block.start, scores, remembered


def _by_image(found: _Matches, places: IntArray, matches: IntArray, at_least: int) -> Pairs:
    """Matches by the place of the image, each sorted by query row, of those that have enough."""
    order = np.lexsort((found.query, found.image))
    pairs = np.stack([found.query[order], found.gallery[order]], axis=1).astype(np.int16)
    ends = np.cumsum(matches)
    return {
        int(places[image]): pairs[ends[image] - matches[image] : ends[image]].copy()
        for image in np.flatnonzero(matches >= at_least)
    }


def _matches(
    products: FloatArray, ratio: float, unit: int, *, mutual: bool
) -> tuple[_Matches, FloatArray]:
    """Matches given all products, shape (images, rows, n), and the best, shape (images, n)."""
    best, second = _lower_bounds(products)
    # The true second is at least that; so few are left that the rest need not be fast.
    image, query = np.nonzero((best > 0) & _clear(best, second, ratio, unit))
    columns = products[image, :, query]
    gallery = columns.argmax(axis=1)
    top = best[image, query]
    columns[np.arange(len(gallery)), gallery] = 0
    found = _Matches(image, query, gallery, top)
    found = found.take(_clear(top, columns.max(axis=1), ratio, unit))
    if mutual:
        nearest = products[found.image, found.gallery].argmax(axis=1)
        return found.take(nearest == found.query), best
    found = found.take(np.lexsort((found.query, -found.products, found.gallery, found.image)))
    first = np.ones(len(found.image), dtype=bool)
    first[1:] = (np.diff(found.image) != 0) | (np.diff(found.gallery) != 0)
    return found.take(first), best


def _lower_bounds(products: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The highest products over rows, and something not above the second highest; 0 at least."""
    images, rows, n = products.shape
    groups = products.reshape(images, GROUPS, rows // GROUPS, n).max(axis=2)
    best = np.maximum(groups[:, 0], 0)
    second = np.zeros_like(best)
    for group in range(1, GROUPS):
        second = np.maximum(second, np.minimum(best, groups[:, group]))
        best = np.maximum(best, groups[:, group])
    return best, second


def _clear(best: FloatArray, second: FloatArray, ratio: float, unit: int) -> npt.NDArray[np.bool_]:
    """Lowe's test. In float64, where whole numbers times a ratio like 0.8 compare as on paper."""
    if ratio == 1:
        return np.ones(best.shape, dtype=bool)
    return (unit - best.astype(np.float64)) < ratio * (unit - second.astype(np.float64))
