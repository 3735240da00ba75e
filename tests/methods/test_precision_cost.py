"""What a precision below float32 costs: the same photos, ranked by both."""

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


class Given:
    """Vectors by name; counts what is computed and loaded."""

    def __init__(self, vectors):
        self.vectors, self.computed, self.loaded = vectors, [], []

    def compute(self, images, *, commit):
        self.computed.extend(images.names)
        return {}

    def load(self, images):
        self.loaded.extend(images.names)
        return np.array([self.vectors[name] for name in images.names], np.float32)


def test_the_cost_by_hand():
    split = toy_split([0, 1], [0, 1])
    whole = {"query-0": (1, 0), "query-1": (0, 1), "gallery-0": (1, 0), "gallery-1": (0, 1)}
    lower = {**whole, "query-1": (0.8, 0.6)}  # nearer to the other one; 0.6 from where it was
    twin = Given(whole)
    cost = precision_cost(
        split, Given(lower), twin, reduce=lambda x: x, metric=Metric.cosine, seed=0
    )
    assert cost == pytest.approx(
        {
            "f32_cost/images": 4,
            "f32_cost/cosine_mean": 0.9,
            "f32_cost/cosine_min": 0.6,
            "f32_cost/hit_at_1": 0.5,
            "f32_cost/map_at_r": 0.5,
        }
    )
    assert sorted(twin.computed) == sorted(twin.loaded) == sorted(whole)
    (line,) = numbers._against_f32(cost)
    assert line[1] == "hit@1 -0.500 · MAP@R -0.500 · cosine 0.9000 (least 0.6000) · on 4 images"
    unlabeled = replace(
        split, query=replace(split.query, labels=None), gallery=replace(split.gallery, labels=None)
    )
    cost = precision_cost(
        unlabeled,
        Given(lower),
        twin,
        reduce=lambda x: x,
        metric=Metric.cosine,
        seed=0,
        label="b",
    )
    assert set(cost) == {"f32_cost/b/images", "f32_cost/b/cosine_mean", "f32_cost/b/cosine_min"}


def test_cosines_come_in_blocks(monkeypatch):
    rng = np.random.default_rng(0)
    one, other = rng.normal(size=(2, 10, 3)).astype(np.float32)
    expected = (one * other).sum(1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    for block in (1, 3, 100):
        monkeypatch.setattr(precision_costs, "BLOCK", block)
        assert np.allclose(precision_costs._cosines(one, other), expected, atol=1e-6)


@pytest.mark.parametrize(("cosine", "told"), [(0.0, 1), (0.4, 1), (0.6, 0)])
def test_embeddings_that_have_nothing_to_do_with_float32s_are_told(caplog, cosine, told):
    split = toy_split([0], [0])
    lower = Given({"query-0": (1, 0), "gallery-0": (1, 0)})
    twin = Given(dict.fromkeys(lower.vectors, (cosine, (1 - cosine**2) ** 0.5)))
    config = Config(DataSource("toy"), Pixels("pixels", 8), index=Exact("exact"))
    Embedding(config, lower, Meter(), f32_embeddings=lambda: twin)._compare_with_f32(split)
    assert len(caplog.records) == told
    assert "engine.precision=f32" in caplog.text or not told


def ensemble(*models, **options):
    found = Ensemble(members=[model.name for model in models], **options)
    found.models = models
    return found


@pytest.mark.parametrize("weights", ["equal", "tuned"])
def test_an_ensembles_twin_has_the_runs_own_of_what_is_float32(monkeypatch, on_gpu, weights):
    """A network that the run trains learns once: its twin would know nothing."""
    on_gpu(bfloat16=True)
    made = []

    class One(Given):
        def __init__(self, model, config):
            made.append(
                (model.name, resolve_engine(config.engine, config.cache.path).precision.value)
            )
            super().__init__({"a": (len(made), 0.0)})

        def identity(self):
            return "one"

        blank = learn = identity

    monkeypatch.setattr(building, "build_embeddings", lambda model, config, _meter: One(model, config))
    models = (BACKBONE, CnnScratch(name="cnn_scratch", image_size=32))
    config = Config(
        DataSource("toy"), ensemble(*models, member_weights=weights), index=Exact("exact")
    )
    meter = Meter(counts={"weight_mobilenet": 0.36, "weight_cnn_scratch": 0.64})
    method = building.build(config, meter)
    assert made == [("mobilenet", "bf16"), ("cnn_scratch", "bf16")]
    twin = method._f32_embeddings()
    assert made[2:] == [("mobilenet", "f32")]
    photo = image_set(["a"])
    twin.compute(photo, commit=lambda: None)
    (vectors, _), (own, _) = twin._members
    assert (vectors.computed, vectors.vectors["a"][0]) == (["a"], 3)
    assert own.load(photo)[0, 0] == 2
    squared = twin.load(photo)[0] ** 2
    assert squared == pytest.approx([0.36, 0, 0.64, 0] if weights == "tuned" else [0.5, 0, 0.5, 0])


@pytest.mark.slow
def test_an_ensemble_with_a_network_of_the_same_run_on_a_gpu(tmp_path, on_gpu):
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
    method.extract(split.images, commit=lambda: None)
    method.fit(split)
    assert method.rank(split, 5).indices.shape == (8, 5)
    assert meter.counts["f32_cost/images"] == 16
    assert 0.9 < meter.counts["f32_cost/cosine_min"] < 1


@pytest.mark.parametrize("leave_one_out", [False, True])
def test_the_sample_is_of_contents_and_can_be_scored(leave_one_out):
    rng = np.random.default_rng(0)
    names = [f"image-{row}" for row in range(4000)]
    labels = rng.integers(0, 800, 4000)  # few of each, so that chance finds none
    reader, classes = ArrayReader({}), [str(label) for label in range(800)]

    def cut(order):
        def part(rows):
            chosen = sorted(rows, key=order.__getitem__)
            return image_set([names[r] for r in chosen], labels[chosen], classes, reader)

        if leave_one_out:
            everything = part(range(4000))
            return Split("toy", everything.take([]), everything, everything, leave_one_out=True)
        return Split("toy", part([]), part(range(2000)), part(range(2000, 4000)))

    found = [sample_split(cut(order)) for order in (np.arange(4000), rng.permutation(4000))]
    assert len(found[0].query_and_gallery) in range(SAMPLE - 1, SAMPLE + 2)
    assert set(found[0].query.names) == set(found[1].query.names)
    assert set(found[0].gallery.names) == set(found[1].gallery.names)
    there = np.bincount(found[0].gallery.labels, minlength=800)[found[0].query.labels]
    answerable = np.mean(there > int(leave_one_out))
    assert answerable > (0.4 if leave_one_out else 0.99)
