"""Matching all pairs: a Python loop over OpenCV's matcher against ours, on real photos; memory.

python -m benchmarks.keypoints --photos photos --queries 20 --repeats 3
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.machine import facts
from outliers_bench.keypoints import match_tables as tables
from outliers_bench.keypoints.keypoints import DESCRIPTORS, Keypoints
from outliers_bench.keypoints.match_tables import match_tables
from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.meter import Meter, peak_memory

ROOTSIFT = DESCRIPTORS["rootsift"]
RATIO = 0.8


class Photos(list):
    """Keypoints of photos in memory, and the folder each lay in."""

    labels: list[str]

    def take(self, rows: Sequence[int]) -> list[Keypoints]:
        return [self[row] for row in rows]


class Random:
    """A table of random keypoints, made when asked for: nothing of it stays in memory."""

    def __init__(self, images: int, keypoints: int) -> None:
        self._images, self._keypoints = images, keypoints

    def __len__(self) -> int:
        return self._images

    def take(self, rows: Sequence[int]) -> list[Keypoints]:
        shape = (self._keypoints, ROOTSIFT.nbytes)
        points = np.zeros((self._keypoints, 2), dtype=np.float32)
        return [
            Keypoints(points, np.random.default_rng(row).integers(0, 256, shape, dtype=np.uint8))
            for row in rows
        ]


def sift(files: Sequence[Path], *, keypoints: int, side: int) -> Photos:
    photos = Photos()
    photos.labels = [file.parent.name for file in files]
    for file in files:
        image = cv2.imread(str(file), cv2.IMREAD_GRAYSCALE)
        scale = min(1, side / max(image.shape))
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found, values = cv2.SIFT_create(nfeatures=keypoints).detectAndCompute(image, None)
        points = np.array([point.pt for point in found], np.float32).reshape(-1, 2)
        values = np.zeros((0, 128)) if values is None else values
        photos.append(Keypoints(points[:keypoints], values[:keypoints].astype(np.uint8)))
    return photos


def plain(queries: Photos, gallery: Photos) -> np.ndarray:
    """Matches of all pairs as the tutorials count them."""
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    theirs = [ROOTSIFT.vectors(image.descriptors) for image in gallery]
    counts = np.zeros((len(queries), len(gallery)))
    for i, query in enumerate(queries):
        mine = ROOTSIFT.vectors(query.descriptors)
        for j, other in enumerate(theirs):
            found = matcher.knnMatch(mine, other, k=2)
            counts[i, j] = sum(
                len(two) == 2 and two[0].distance < RATIO * two[1].distance for two in found
            )
    return counts


def ours(queries: Photos, gallery: Photos) -> np.ndarray:
    indices, scores, _ = match_tables(
        queries,
        gallery,
        descriptor=ROOTSIFT,
        options=MatchOptions(ratio=RATIO),
        keep=len(gallery),
        order=np.arange(len(gallery)),
    )
    counts = np.empty_like(scores)
    np.put_along_axis(counts, indices, np.floor(scores), axis=1)
    return counts


def hit_at_1(counts: np.ndarray, queries: Photos, gallery: Photos) -> float:
    """Share of queries whose best image is of their class; equal counts share the place."""
    same = np.array(queries.labels)[:, None] == np.array(gallery.labels)
    best = counts == counts.max(axis=1, keepdims=True)
    return float(((same & best).sum(axis=1) / best.sum(axis=1)).mean())


def alternate(ways: dict[str, Callable[[], np.ndarray]], repeats: int) -> Iterator[tuple]:
    """Seconds, seconds of all threads and result of each way, in turn, in changing order."""
    for repeat in range(repeats):
        names = list(ways) if repeat % 2 == 0 else list(ways)[::-1]
        for name in names:
            start, busy = time.perf_counter(), time.process_time()
            counts = ways[name]()
            yield name, time.perf_counter() - start, time.process_time() - busy, counts


def formula(keypoints: int, queries: int, keep: int) -> int:
    """Bytes that `match_tables` says it needs at most, for images of so many keypoints."""
    vectors = 4 * keypoints * ROOTSIFT.dimensions
    block = tables.BLOCK_BYTES + tables.READ_IMAGES * vectors
    products = 4 * keypoints * max(tables.TILE_ROWS, keypoints)
    return int(2.5 * block + cores() * (2 * products + vectors) + 16 * queries * keep)


def memory(images: int, keypoints: int, queries: int) -> int:
    """Bytes by which peak memory really grows while a gallery of random keypoints is matched."""
    tables = Random(queries, keypoints), Random(images, keypoints)
    match_tables(  # libraries and threads start up outside of what is measured
        *(Random(2, 50), Random(2, 50)),
        descriptor=ROOTSIFT,
        options=MatchOptions(),
        keep=1,
        order=np.arange(2),
    )
    Meter()  # forgets the peak until now
    before = peak_memory()
    match_tables(
        *tables, descriptor=ROOTSIFT, options=MatchOptions(), keep=100, order=np.arange(images)
    )
    return peak_memory() - before


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--photos",
        type=Path,
        required=True,
        help="folder with query/ and gallery/, in class folders",
    )
    parser.add_argument("--queries", type=int, default=20, help="evenly spaced over the classes")
    parser.add_argument("--gallery", type=int, default=200)
    parser.add_argument("--keypoints", type=int, default=500)
    parser.add_argument("--side", type=int, default=640)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--memory-images", type=int, default=2000)
    parser.add_argument(
        "--out", type=Path, default=Path(__file__).parent / "results" / "keypoints.json"
    )
    options = parser.parse_args()

    def some(part: str, n: int) -> Photos:
        files = sorted((options.photos / part).rglob("*.jpg"))
        rows = np.linspace(0, len(files) - 1, min(n, len(files))).astype(int)
        return sift([files[i] for i in rows], keypoints=options.keypoints, side=options.side)

    machine = facts("numpy", "opencv-contrib-python-headless")  # with the load before there is ours
    grown = memory(options.memory_images, options.keypoints, queries=4)
    claimed = formula(options.keypoints, 4, 100)
    large = formula(options.keypoints, 20_000, 100)

    queries, gallery = some("query", options.queries), some("gallery", options.gallery)
    ways = {"plain": lambda: plain(queries, gallery), "ours": lambda: ours(queries, gallery)}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    # Less disturbed by what else the machine does.
    busy: dict[str, list[float]] = {name: [] for name in ways}
    counts = {}
    for name, took, worked, found in alternate(ways, options.repeats):
        seconds[name].append(took)
        busy[name].append(worked)
        counts[name] = found
    pairs = len(queries) * len(gallery)
    median = {name: statistics.median(took) for name, took in seconds.items()}
    result = {
        "machine": machine,
        "photos": options.photos.name,
        "queries": len(queries),
        "gallery": len(gallery),
        "keypoints": float(np.median([len(image) for image in gallery])),
        "seconds": seconds,
        "processor_seconds": busy,
        "pairs_per_second": {name: pairs / took for name, took in median.items()},
        "times_faster": median["plain"] / median["ours"],
        "times_less_processor": statistics.median(busy["plain"]) / statistics.median(busy["ours"]),
        "hit_at_1": {name: hit_at_1(found, queries, gallery) for name, found in counts.items()},
        "memory_bytes": {
            f"measured_{options.memory_images}_images": grown,
            "formula": claimed,
            "formula_20000_queries_20000_images": large,
        },
    }
    print(f"{len(queries)} x {len(gallery)} photos, {result['keypoints']:.0f} keypoints each")
    for name in ways:
        print(
            f"{name:>6} {result['pairs_per_second'][name]:8,.0f} pairs/s"
            f"   hit@1 {result['hit_at_1'][name]:.3f}"
            f"   {min(seconds[name]):.2f}-{max(seconds[name]):.2f} s"
        )
    print(
        f"{result['times_faster']:.1f} times as fast, with {result['times_less_processor']:.1f}"
        f" times less processor time (medians of {options.repeats})"
    )
    print(
        f"memory: grew by {grown / 2**20:.0f} MiB with {options.memory_images:,} images, at most "
        f"{claimed / 2**20:.0f} by formula; {large / 2**20:.0f} for 20,000 queries and images"
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
