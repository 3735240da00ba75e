"""Cost of a precision below float32: the same photos ranked in both precisions."""

from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.config.schema import Cache, Config
from outliers_bench.data.source import DataSource
from outliers_bench.engines.options import resolve_engine
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.methods import build as building
from outliers_bench.methods import precision_cost as precision_costs
from outliers_bench.methods.embedding import Embedding
from outliers_bench.methods.precision_cost import SAMPLE, precision_cost, sample_split
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.pixels import Pixels
from outliers_bench.reports import numbers
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.runtime.meter import Meter
from outliers_bench.training.models import CnnScratch
from outliers_bench.types import Split
from tests.toys import ArrayReader, image_set, toy_split
from tests.training_toys import colored_images

BACKBONE = Backbone(name="mobilenet", image_size=32, keras="MobileNet", dim=1024, weights="random")


class ToyEmbeddings:
    """Embeddings by image name; records the images computed and loaded."""

    def __init__(self, vectors):
        self.vectors, self.computed, self.loaded = vectors, [], []

    def compute(self, images):
        self.computed.extend(images.names)
        return {}

    def load(self, images):
        self.loaded.extend(images.names)
        return np.array([self.vectors[name] for name in images.names], np.float32)


def test_cost_by_hand():
    split = toy_split([0, 1], [0, 1])
    f32 = {"query-0": (1, 0), "query-1": (0, 1), "gallery-0": (1, 0), "gallery-1": (0, 1)}
    lower = {**f32, "query-1": (0.8, 0.6)}  # closer to the other image; cosine 0.6 with float32
    reference = ToyEmbeddings(f32)
    options = {"reduce": lambda x: x, "metric": Metric.cosine, "seed": 0}
    cost = precision_cost(split, ToyEmbeddings(lower), reference, **options)
    assert cost == pytest.approx(
        {
            "f32_cost/images": 4,
            "f32_cost/cosine_mean": 0.9,
            "f32_cost/cosine_min": 0.6,
            "f32_cost/hit_at_1": 0.5,
            "f32_cost/map_at_r": 0.5,
        }
    )
    assert sorted(reference.computed) == sorted(reference.loaded) == sorted(f32)
    (line,) = numbers._f32_rows(cost)
    assert line[1] == "hit@1 -0.500 · MAP@R -0.500 · cosine 0.9000 (least 0.6000) · on 4 images"
    unlabeled = replace(
        split, query=replace(split.query, labels=None), gallery=replace(split.gallery, labels=None)
    )
    cost = precision_cost(unlabeled, ToyEmbeddings(lower), reference, label="b", **options)
    assert set(cost) == {"f32_cost/b/images", "f32_cost/b/cosine_mean", "f32_cost/b/cosine_min"}


def test_cosines_do_not_depend_on_the_block_size(monkeypatch):
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 10, 3)).astype(np.float32)
    expected = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    for block in (1, 3, 100):
        monkeypatch.setattr(precision_costs, "BLOCK", block)
        assert np.allclose(precision_costs._cosines(one, other), expected, atol=1e-6)


@pytest.mark.parametrize(("cosine", "warnings"), [(0.0, 1), (0.4, 1), (0.6, 0)])
def test_low_cosine_with_float32_is_warned_of(caplog, cosine, warnings):
    split = toy_split([0], [0])
    lower = ToyEmbeddings({"query-0": (1, 0), "gallery-0": (1, 0)})
    f32 = ToyEmbeddings(dict.fromkeys(lower.vectors, (cosine, (1 - cosine**2) ** 0.5)))
    config = Config(DataSource("toy"), Pixels("pixels", 8), index=Exact("exact"))
    Embedding(config, lower, Meter(), f32_embeddings=lambda: f32)._compare_with_f32(split)
    assert len(caplog.records) == warnings
    assert "engine.precision=f32" in caplog.text or not warnings


def ensemble(*models, **options):
    result = Ensemble(members=[model.name for model in models], **options)
    result.models = models
    return result


@pytest.mark.parametrize("weights", ["equal", "tuned"])
def test_f32_ensemble_reuses_members_that_are_float32(monkeypatch, on_gpu, weights):
    """A network trained by the run is not trained again for the comparison."""
    on_gpu(bfloat16=True)
    built = []

    class Recorded(ToyEmbeddings):
        def __init__(self, model, config):
            precision = resolve_engine(config.engine, config.cache.path).precision
            built.append((model.name, precision.value))
            super().__init__({"a": (len(built), 0.0)})

        def identity(self):
            return "recorded"

        blank = learn = identity

    monkeypatch.setattr(
        building, "build_embeddings", lambda model, config, _meter: Recorded(model, config)
    )
    models = (BACKBONE, CnnScratch(name="cnn_scratch", image_size=32))
    config = Config(
        DataSource("toy"), ensemble(*models, member_weights=weights), index=Exact("exact")
    )
    meter = Meter(counts={"weight_mobilenet": 0.36, "weight_cnn_scratch": 0.64})
    method = building.build(config, meter)
    assert built == [("mobilenet", "bf16"), ("cnn_scratch", "bf16")]
    f32 = method._f32_embeddings()
    assert built[2:] == [("mobilenet", "f32")]
    photo = image_set(["a"])
    f32.compute(photo)
    (rebuilt, _), (reused, _) = f32._members
    assert (rebuilt.computed, rebuilt.vectors["a"][0]) == (["a"], 3)
    assert reused.load(photo)[0, 0] == 2
    squared = f32.load(photo)[0] ** 2
    assert squared == pytest.approx([0.36, 0, 0.64, 0] if weights == "tuned" else [0.5, 0, 0.5, 0])


@pytest.mark.slow
def test_ensemble_with_a_trained_network_on_a_gpu(tmp_path, on_gpu):
    on_gpu(bfloat16=True)
    photos = colored_images({"ant": 16, "bee": 16}, side=32)
    train, queries, gallery = (photos.take(range(at, 32, 4)) for at in (0, 1, 2))
    split = Split("toy", train, queries, gallery)
    trained = CnnScratch(name="cnn_scratch", image_size=32, epochs=1)
    model = ensemble(BACKBONE, trained)
    config = Config(DataSource("toy"), model, index=Exact("exact"), cache=Cache(str(tmp_path)))
    meter = Meter()
    method = building.build(config, meter)
    method.check(split)
    method.extract(split.images)
    method.fit(split)
    assert method.rank(split, 5).indices.shape == (8, 5)
    assert meter.counts["f32_cost/images"] == 16
    assert 0.9 < meter.counts["f32_cost/cosine_min"] < 1


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_sample_depends_on_content_and_can_be_scored(leave_one_out):
    rng = np.random.default_rng(0)
    names = [f"image-{row}" for row in range(4000)]
    labels = rng.integers(0, 800, 4000)  # few per class: a random sample has none relevant
    reader, classes = ArrayReader({}), [str(label) for label in range(800)]

    def cut(order):
        def part(rows):
            chosen = sorted(rows, key=order.__getitem__)
            return image_set([names[r] for r in chosen], labels[chosen], classes, reader)

        if leave_one_out:
            images = part(range(4000))
            return Split("toy", images.take([]), images, images, leave_one_out=True)
        return Split("toy", part([]), part(range(2000)), part(range(2000, 4000)))

    orders = (np.arange(4000), rng.permutation(4000))
    sample, shuffled = (sample_split(cut(order)) for order in orders)
    assert len(sample.query_and_gallery) in range(SAMPLE - 1, SAMPLE + 2)
    assert set(sample.query.names) == set(shuffled.query.names)
    assert set(sample.gallery.names) == set(shuffled.gallery.names)
    relevant = np.bincount(sample.gallery.labels, minlength=800)[sample.query.labels]
    scored = np.mean(relevant > int(leave_one_out))
    assert scored > (0.4 if leave_one_out else 0.99)
