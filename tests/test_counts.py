"""Costs of a run as counts: decoded images, network passes, commits, bytes.

Unlike times, these numbers do not depend on the machine, and a larger one means a slower run.
"""

import json
import sqlite3
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from outliers_bench.data.synthetic import Synthetic
from outliers_bench.engines.options import Engine
from outliers_bench.engines.quantize import SAMPLE
from outliers_bench.features.extract import Features
from outliers_bench.models.model import Extractor
from outliers_bench.runtime.meter import Meter
from outliers_bench.types import ImageSet
from tests.duplicates.synthetic_photos import make_photo
from tests.toys import image_set, noise_images, write_images

LENGTH = 3 * 8 * 8


@dataclass
class CountingModel(Extractor):
    """Raw pixels in batches of eight; records the size of each network pass."""

    name: str = "counted"
    image_size: int = 8
    batch: int = 8
    samples: int = 0
    passes: list[int] = field(default_factory=list)

    @property
    def dimensions(self):
        return LENGTH

    def space(self):
        return {"architecture": "counted"}

    def embedder(self, engine, cache, sample):
        self.samples += len(sample())
        return BatchEmbedder(self)


class BatchEmbedder:
    """Embeds in batches, and reports its batch size."""

    def __init__(self, model):
        self.model = model
        self.facts = {"batch_size": float(model.batch)}

    def __call__(self, images):
        group = []
        for pair in images:
            group.append(pair)
            if len(group) == self.model.batch:
                yield from self.embed(group)
                group = []
        if group:
            yield from self.embed(group)

    def embed(self, group):
        self.model.passes.append(len(group))
        return [(key, image.astype(np.float32).reshape(-1)) for key, image in group]


@pytest.fixture
def commits(monkeypatch):
    """COMMIT statements of all SQLite connections."""
    recorded, connect = [], sqlite3.connect

    def connect_traced(*args, **options):
        db = connect(*args, **options)
        db.set_trace_callback(lambda sql: recorded.append(sql) if "COMMIT" in sql else None)
        return db

    monkeypatch.setattr(sqlite3, "connect", connect_traced)
    return recorded


def images(count):
    return image_set([f"image-{i}" for i in range(count)], reader=noise_images(count))


def run(model, photos: ImageSet, cache):
    """Compute and load features; return the meter and the number of decoded photos."""
    photos.reader.decoded.clear()
    meter = Meter()
    features = Features(model, Engine(), cache, meter)
    features.compute(photos)
    features.load(photos)
    return meter, len(photos.reader.decoded)


def feature_files(cache):
    return {
        file.name: (file.stat().st_size, file.stat().st_mtime_ns)
        for file in (cache / "features").glob("*.sqlite")
    }


def test_first_run_computes_everything_once(tmp_path, commits):
    model, photos = CountingModel(), images(101)
    meter, decoded = run(model, photos, tmp_path)
    assert decoded == 101
    assert model.samples == SAMPLE
    assert (meter.features_computed, meter.features_reused) == (101, 0)
    assert model.passes == [8] * 12 + [5]
    assert meter.counts == {"engine_batch_size": 8.0}
    # One for the schema and one for the vectors; more if the machine stalls for a second.
    assert len(commits) <= 4


def test_file_is_little_larger_than_the_vectors(tmp_path):
    run(CountingModel(), images(600), tmp_path)
    ((size, _),) = feature_files(tmp_path).values()
    vectors = 600 * LENGTH * 4
    # SQLite stores five vectors of this length per page of 4 KiB, plus the keys and their index.
    assert vectors < size < 1.4 * vectors + 2**16
    assert not list((tmp_path / "features").glob("*-wal")), "merged into the file at the end"


def test_second_run_computes_nothing(tmp_path, commits):
    model, photos = CountingModel(), images(50)
    run(model, photos, tmp_path)
    before = feature_files(tmp_path)
    commits.clear()
    model.passes.clear()
    model.samples = 0
    meter, decoded = run(model, photos, tmp_path)
    assert (decoded, model.samples, model.passes) == (0, 0, [])
    assert (meter.features_computed, meter.features_reused) == (0, 50)
    assert commits == []
    assert feature_files(tmp_path) == before


def test_only_new_photos_are_computed(tmp_path):
    model = CountingModel()
    run(model, images(50), tmp_path)
    model.passes.clear()
    model.samples = 0
    meter, decoded = run(model, images(60), tmp_path)
    assert decoded == 10
    assert model.passes == [8, 2]
    assert (meter.features_computed, meter.features_reused) == (10, 50)


def test_loading_holds_the_features_once(tmp_path):
    """Memory is that of the matrix, plus the rows of one query to the store at a time."""
    import tracemalloc

    photos = images(4000)
    features = Features(CountingModel(), Engine(), tmp_path, Meter())
    rng = np.random.default_rng(0)
    features.add((digest, rng.random(LENGTH, dtype=np.float32)) for digest in photos.digests)
    tracemalloc.start()
    try:
        loaded = features.load(photos).matrix
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert loaded.nbytes == 4000 * LENGTH * 4
    assert peak < 1.4 * loaded.nbytes


SECOND_RUN = """
    import sys
    from pathlib import Path
    from outliers_bench.data import image_files
    from outliers_bench.data.folder import ClassFolders
    from outliers_bench.models.backbone import Backbone
    from outliers_bench.engines.options import Engine
    from outliers_bench.features.extract import Features
    from outliers_bench.runtime.meter import Meter

    image_files.decode = lambda *args, **options: sys.exit("decoded")
    cache = Path(sys.argv[2])
    split = ClassFolders(root=sys.argv[1], train=0.0).load(seed=0, cache=cache)
    model = Backbone("net", image_size=32, keras="MobileNet", dim=1024, weights="random")
    meter = Meter()
    features = Features(model, Engine(), cache, meter)
    if len(sys.argv) == 4:  # store features, as a first run would
        import numpy as np
        features.add((digest, np.ones(1024, np.float32)) for digest in split.images.digests)
    else:
        features.compute(split.images)
        assert features.load(split.images).matrix.shape == (24, 1024)
        assert (meter.features_computed, meter.features_reused) == (0, 24)
        heavy = {"tensorflow", "keras", "openvino", "sklearn", "cv2", "faiss", "mlflow", "pandas"}
        print(sorted(heavy & set(sys.modules)))
"""


def test_stored_features_need_no_engine_and_no_decoder(tmp_path):
    write_images(Synthetic(classes=3, individuals=2, images=4, size=32), tmp_path / "photos")
    command = [sys.executable, "-c", textwrap.dedent(SECOND_RUN)]
    folders = [str(tmp_path / "photos"), str(tmp_path / "cache")]
    subprocess.run([*command, *folders, "first"], check=True)
    before = feature_files(tmp_path / "cache")
    done = subprocess.run([*command, *folders], check=True, capture_output=True, text=True)
    assert done.stdout.strip() == "[]"
    assert feature_files(tmp_path / "cache") == before


COUNTED = """
    import json, runpy, sys
    from collections import Counter
    from outliers_bench.data import image_files

    decode, counts = image_files.decode, Counter()

    def count(data, *, name, **options):
        counts[name] += 1
        return decode(data, name=name, **options)

    image_files.decode = count
    sys.argv = ["outliers_bench", *sys.argv[1:]]
    try:
        runpy.run_module("outliers_bench", run_name="__main__")
    finally:
        print(json.dumps([counts, sorted(sys.modules)]), file=sys.stderr)
"""


def decodings(cwd, root, *arguments):
    """Run the command line without pictures; return decodings of each photo, and all modules."""
    command = [sys.executable, "-c", textwrap.dedent(COUNTED), "contact_sheets.queries=0", "k=[1]"]
    done = subprocess.run(
        [*command, "data=folder", f"data.root={root}", "cache.dir=cache", *arguments],
        cwd=cwd,
        check=True,
        capture_output=True,
        text=True,
    )
    counts, modules = json.loads(done.stderr.splitlines()[-1])
    return counts, set(modules)


def test_first_run_decodes_once_and_one_on_stored_features_imports_no_engine(tmp_path):
    for seed in range(24):
        file = tmp_path / "photos" / f"class {seed % 3}" / f"{seed}.jpg"
        file.parent.mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(file), make_photo(seed))
    names = [f"class {seed % 3}/{seed}.jpg" for seed in range(24)]
    network = ("model=mobilenet", "model.weights=random", "model.image_size=32", "engine=openvino")
    heavy = {"tensorflow", "keras", "openvino"}
    counts, modules = decodings(tmp_path, "photos", *network)
    assert counts == dict.fromkeys(names, 1), "for the audit and the network"
    assert "openvino" in modules
    counts, modules = decodings(tmp_path, "photos", *network, "pca.n=2", "index=kd_tree")
    assert counts == {}
    assert "outliers_bench.benchmark" in modules
    assert not modules & heavy
    counts, _ = decodings(tmp_path, "photos", "model=sift")
    assert counts == dict.fromkeys(names, 1), "no audit again"


@pytest.mark.slow
def test_on_real_photos_only_those_that_look_alike_are_decoded_again(tmp_path, shared):
    root = shared / "data" / "caltech101_animals"
    counts, _ = decodings(tmp_path, root, "model=pixels", "model.image_size=64")
    assert len(counts) == 2_221
    assert sum(counts.values()) < 1.05 * 2_221
