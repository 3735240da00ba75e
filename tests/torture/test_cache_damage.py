"""Damage in every kind of file in the cache: no score and no vector changes.

A bit is flipped in a file of each kind, or one bit per 2 kB, 64 kB are cleared, or the end is cut
off. Then the run is repeated, with real photos and a real network. `make torture` does so 20 times
for each kind of file and of damage.
"""

import os
import shutil
import sqlite3
from contextlib import closing, suppress

import numpy as np
import pytest

import outliers_bench as ob

pytestmark = pytest.mark.slow

TIMES = int(os.environ.get("OUTLIERS_BENCH_TORTURE", "1"))
SEED = int(os.environ.get("OUTLIERS_BENCH_SEED", "0"))
CLASSES, PHOTOS = 8, 6
RUNS = {
    "backbone": {"model": "mobilenet", "pca": 10, "index": "faiss_hnsw", "rerank": "dba"},
    "trained": {"model": "transfer", "options": {"model.epochs": 2}},
    "keypoints": {"model": "sift"},
}
# Files, the run that reads them, and the files that it would read instead of them.
KINDS = {
    "features": ("features/mobilenet-*.sqlite", "backbone", ""),
    "thumbnails": ("features/duplicate-thumbnails-*.sqlite", "backbone", "duplicates/*"),
    "duplicates": ("duplicates/*.npz", "backbone", ""),
    "digests": ("digests.sqlite", "backbone", ""),
    "projection": ("reducers/*.npz", "backbone", ""),
    "graph": ("graphs/*.npz", "backbone", ""),
    "index": ("indexes/*/index.faiss", "backbone", ""),
    "index record": ("indexes/*/index.json", "backbone", ""),
    "model": ("models/*/model.bin", "backbone", "features/mobilenet-*"),
    "model graph": ("models/*/model.xml", "backbone", "features/mobilenet-*"),
    "model record": ("models/*/conversion.json", "backbone", "features/mobilenet-*"),
    "trained network": ("trained/*/model.keras", "trained", "features/transfer*"),
    "training record": ("trained/*/training.json", "trained", ""),
    "keypoints": ("features/sift-*.sqlite", "keypoints", "rankings/*"),
    "ranking": ("rankings/*.npz", "keypoints", ""),
}


def flip(content, rng):
    content[rng.integers(len(content))] ^= 1 << int(rng.integers(8))


def flip_everywhere(content, rng):
    for position in rng.integers(len(content), size=1 + len(content) // 2048):
        content[position] ^= 1 << int(rng.integers(8))


def clear(content, rng):
    start = int(rng.integers(max(len(content) - 65536, 1)))
    content[start : start + 65536] = bytes(len(content[start : start + 65536]))


def truncate(content, rng):
    del content[rng.integers(len(content)) :]


@pytest.fixture(scope="module")
def photos(shared, tmp_path_factory):
    folder = tmp_path_factory.mktemp("photos")
    classes = sorted((shared / "data" / "caltech101_animals").iterdir())
    for source in [path for path in classes if path.is_dir()][:CLASSES]:
        (folder / source.name).mkdir()
        for photo in sorted(source.iterdir())[:PHOTOS]:
            shutil.copy(photo, folder / source.name)
    return folder


@pytest.fixture(scope="module")
def intact(photos, shared, tmp_path_factory):
    """Cache of all runs, and their figures."""
    cache = tmp_path_factory.mktemp("intact")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OUTLIERS_BENCH_WEIGHTS", str(shared / "weights"))
        yield cache, {name: figures(name, photos, cache) for name in RUNS}


def figures(name, photos, cache):
    """Run, and return the metrics, the ranking, and all vectors of the run's features."""
    given = RUNS[name]
    options = {**given.get("options", {}), "cache.dir": str(cache)}
    result = ob.run(photos, **given | {"k": [1, 3], "options": options})
    vectors = {}
    # Thumbnails depend on the size at which the first run has decoded the photos.
    for path in sorted((cache / "features").glob("[!d]*.sqlite")):
        with closing(sqlite3.connect(path)) as database, suppress(sqlite3.DatabaseError):
            for digest, vector, *_ in database.execute("SELECT * FROM features"):
                vectors[path.name, digest] = vector
    ranking = result.ranking
    return result.evaluation.metrics, ranking.indices.tolist(), ranking.scores.tolist(), vectors


@pytest.mark.parametrize("damage", [flip, flip_everywhere, clear, truncate])
@pytest.mark.parametrize("kind", KINDS)
def test_no_figure_changes(kind, damage, intact, photos, tmp_path):
    pattern, name, instead = KINDS[kind]
    cache, expected = intact
    rng = np.random.default_rng([SEED, *f"{kind}{damage.__name__}".encode()])
    for number in range(TIMES):
        copy = tmp_path / f"{number}"
        shutil.copytree(cache, copy)
        for path in copy.glob(instead) if instead else ():
            path.unlink()
        damaged = list(copy.glob(pattern))
        assert damaged
        for path in damaged:
            content = bytearray(path.read_bytes())
            damage(content, rng)
            path.write_bytes(content)
        metrics, indices, scores, vectors = figures(name, photos, copy)
        assert metrics == expected[name][0]
        assert indices == expected[name][1]
        assert scores == expected[name][2]
        known = expected[name][3]
        assert {
            key: value for key, value in known.items() if vectors.get(key, value) != value
        } == {}
        shutil.rmtree(copy)
