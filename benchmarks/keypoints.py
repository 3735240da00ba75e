"""Matching of all pairs of photos: a loop over OpenCV's matcher and `match_tables`; memory.

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

from benchmarks.machine import machine_info
from outliers_bench.keypoints import match_tables as tables
from outliers_bench.keypoints.keypoints import DESCRIPTORS, Keypoints
from outliers_bench.keypoints.match_tables import match_tables
from outliers_bench.keypoints.options import MatchOptions
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.meter import Meter, peak_memory
from outliers_bench.types import Exclusion

ROOTSIFT = DESCRIPTORS["rootsift"]
RATIO = 0.8


class Photos(list):
    """Keypoints of photos in memory, with the class folder of each photo."""

    labels: list[str]

    def take(self, rows: Sequence[int]) -> list[Keypoints]:
        return [self[row] for row in rows]


class RandomTable:
    """Table of random keypoints, generated on access and not held in memory."""

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
        detected, descriptors = cv2.SIFT_create(nfeatures=keypoints).detectAndCompute(image, None)
        points = np.array([point.pt for point in detected], np.float32).reshape(-1, 2)
        descriptors = np.zeros((0, 128)) if descriptors is None else descriptors
        photos.append(Keypoints(points[:keypoints], descriptors[:keypoints].astype(np.uint8)))
    return photos


def match_in_loop(queries: Photos, gallery: Photos) -> np.ndarray:
    """Count the matches of all pairs with OpenCV's brute-force matcher, as in its tutorials."""
    matcher = cv2.BFMatcher(cv2.NORM_L2)
    gallery_vectors = [ROOTSIFT.vectors(image.descriptors) for image in gallery]
    counts = np.zeros((len(queries), len(gallery)))
    for i, query in enumerate(queries):
        query_vectors = ROOTSIFT.vectors(query.descriptors)
        for j, vectors in enumerate(gallery_vectors):
            pairs = matcher.knnMatch(query_vectors, vectors, k=2)
            counts[i, j] = sum(
                len(pair) == 2 and pair[0].distance < RATIO * pair[1].distance for pair in pairs
            )
    return counts


def match_with_tables(queries: Photos, gallery: Photos) -> np.ndarray:
    indices, scores, _ = match_tables(
        queries,
        gallery,
        descriptor=ROOTSIFT,
        options=MatchOptions(ratio=RATIO),
        depth=len(gallery),
        order=np.arange(len(gallery)),
        exclusion=Exclusion.nothing(len(queries), len(gallery)),
    )
    counts = np.empty_like(scores)
    np.put_along_axis(counts, indices, np.floor(scores), axis=1)
    return counts


def hit_at_1(counts: np.ndarray, queries: Photos, gallery: Photos) -> float:
    """Fraction of queries whose best match is of their class, averaged over ties."""
    same = np.array(queries.labels)[:, None] == np.array(gallery.labels)
    best = counts == counts.max(axis=1, keepdims=True)
    return float(((same & best).sum(axis=1) / best.sum(axis=1)).mean())


def alternate(matchers: dict[str, Callable[[], np.ndarray]], repeats: int) -> Iterator[tuple]:
    """Yield name, seconds, CPU seconds and result of each matcher, in alternating order."""
    for repeat in range(repeats):
        names = list(matchers) if repeat % 2 == 0 else list(matchers)[::-1]
        for name in names:
            start, cpu_start = time.perf_counter(), time.process_time()
            counts = matchers[name]()
            yield name, time.perf_counter() - start, time.process_time() - cpu_start, counts


def formula(keypoints: int, queries: int, depth: int) -> int:
    """Return the documented upper bound of the memory of `match_tables`, in bytes."""
    vectors = 4 * keypoints * ROOTSIFT.dimensions
    block = tables.BLOCK_BYTES + tables.READ_IMAGES * vectors
    products = 4 * keypoints * max(tables.TILE_ROWS, keypoints)
    return int(2.5 * block + cores() * (2 * products + vectors) + 16 * queries * depth)


def memory_growth(images: int, keypoints: int, queries: int) -> int:
    """Measure the growth of peak memory while random keypoints are matched, in bytes."""
    tables = RandomTable(queries, keypoints), RandomTable(images, keypoints)
    match_tables(  # warm up libraries and threads
        *(RandomTable(2, 50), RandomTable(2, 50)),
        descriptor=ROOTSIFT,
        options=MatchOptions(),
        depth=1,
        order=np.arange(2),
        exclusion=Exclusion.nothing(2, 2),
    )
    Meter.start()  # resets the peak
    before = peak_memory()
    match_tables(
        *tables,
        descriptor=ROOTSIFT,
        options=MatchOptions(),
        depth=100,
        order=np.arange(images),
        exclusion=Exclusion.nothing(queries, images),
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

    def load(part: str, n: int) -> Photos:
        files = sorted((options.photos / part).rglob("*.jpg"))
        rows = np.linspace(0, len(files) - 1, min(n, len(files))).astype(int)
        return sift([files[i] for i in rows], keypoints=options.keypoints, side=options.side)

    # First, so that the load is that of other programs.
    machine = machine_info("numpy", "opencv-contrib-python-headless")
    growth = memory_growth(options.memory_images, options.keypoints, queries=4)
    bound = formula(options.keypoints, 4, 100)
    large_bound = formula(options.keypoints, 20_000, 100)

    queries, gallery = load("query", options.queries), load("gallery", options.gallery)
    matchers = {
        "plain": lambda: match_in_loop(queries, gallery),
        "ours": lambda: match_with_tables(queries, gallery),
    }
    seconds: dict[str, list[float]] = {name: [] for name in matchers}
    # Less sensitive to other load than wall time.
    cpu_seconds: dict[str, list[float]] = {name: [] for name in matchers}
    counts = {}
    for name, wall, cpu, matches in alternate(matchers, options.repeats):
        seconds[name].append(wall)
        cpu_seconds[name].append(cpu)
        counts[name] = matches
    pairs = len(queries) * len(gallery)
    median = {name: statistics.median(values) for name, values in seconds.items()}
    median_cpu = {name: statistics.median(values) for name, values in cpu_seconds.items()}
    result = {
        "machine": machine,
        "photos": options.photos.name,
        "queries": len(queries),
        "gallery": len(gallery),
        "keypoints": float(np.median([len(image) for image in gallery])),
        "seconds": seconds,
        "cpu_seconds": cpu_seconds,
        "pairs_per_second": {name: pairs / wall for name, wall in median.items()},
        "speedup": median["plain"] / median["ours"],
        "cpu_ratio": median_cpu["plain"] / median_cpu["ours"],
        "hit_at_1": {name: hit_at_1(matches, queries, gallery) for name, matches in counts.items()},
        "memory_bytes": {
            f"measured_{options.memory_images}_images": growth,
            "formula": bound,
            "formula_20000_queries_20000_images": large_bound,
        },
    }
    print(f"{len(queries)} x {len(gallery)} photos, {result['keypoints']:.0f} keypoints each")
    for name in matchers:
        print(
            f"{name:>6} {result['pairs_per_second'][name]:8,.0f} pairs/s"
            f"   hit@1 {result['hit_at_1'][name]:.3f}"
            f"   {min(seconds[name]):.2f}-{max(seconds[name]):.2f} s"
        )
    print(
        f"{result['speedup']:.1f} times as fast, with {result['cpu_ratio']:.1f}"
        f" times less CPU time (medians of {options.repeats})"
    )
    print(
        f"memory: grew by {growth / 2**20:.0f} MiB with {options.memory_images:,} images; bound "
        f"{bound / 2**20:.0f} MiB, or {large_bound / 2**20:.0f} MiB for 20,000 queries and images"
    )
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(result, indent=2) + "\n")


if __name__ == "__main__":
    main()
