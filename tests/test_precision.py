"""Precision: what can be had is refused early or kept apart, and what it costs is measured."""

import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from outliers_bench.config import Cache, Config
from outliers_bench.data.source import DataSource
from outliers_bench.errors import BenchError
from outliers_bench.features import engine as engines
from outliers_bench.features import gpu as gpus
from outliers_bench.features import openvino_running, quantising
from outliers_bench.features.backbone import Backbone
from outliers_bench.features.engine import Engine, EngineKind, Precision, resolved
from outliers_bench.features.gpu import Gpu
from outliers_bench.features.pixels import Pixels
from outliers_bench.features.precision import check_model, key, make_ready, network_of
from outliers_bench.identity import identity
from outliers_bench.methods.precision_cost import SAMPLE, precision_cost, sampled
from outliers_bench.published import changes
from outliers_bench.reports import format as readable
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.training.models import CnnScratch
from outliers_bench.types import Split
from tests.features.openvino_toys import Toy, keep_toy
from tests.toys import ArrayReader, image_set, toy_split

BACKBONE = Backbone(name="mobilenet", image_size=32, keras="MobileNet", dim=1024, weights="random")
INT8 = Engine(precision=Precision.int8)
BF16 = Engine(precision=Precision.bf16)


@pytest.fixture
def on_gpu(monkeypatch):
    def see(*, bfloat16):
        monkeypatch.setattr(gpus, "gpu", lambda _cache=None: Gpu(True, bfloat16))

    return see


def test_what_auto_means(tmp_path, on_gpu):
    def found(**options):
        engine = resolved(Engine(**options), tmp_path)
        return engine.kind.value, engine.precision.value

    assert found() == ("openvino", "f32")
    on_gpu(bfloat16=True)
    assert found() == ("keras", "bf16")
    assert found(kind=EngineKind.keras) == ("keras", "f32")
    assert found(precision=Precision.f32) == ("keras", "f32")
    assert found(precision=Precision.int8) == ("openvino", "int8")
    on_gpu(bfloat16=False)
    assert found() == ("keras", "f32")


def test_the_gpu_is_asked_for_once_and_again_when_something_changed(tmp_path, monkeypatch):
    asked = []
    monkeypatch.setattr(gpus, "_asked", lambda: asked.append(1) or Gpu(True, True))
    monkeypatch.setattr(gpus, "_DEVICES", (str(tmp_path / "gpu"),))
    assert gpus.gpu(tmp_path) == Gpu(False, False)
    assert asked == []
    (tmp_path / "gpu").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for _ in range(3):
        assert gpus.gpu(tmp_path) == Gpu(True, True)
    assert len(asked) == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    gpus.gpu(tmp_path)
    assert len(asked) == 2
    for kept in (tmp_path / "machine").iterdir():
        kept.write_text("{")
    assert gpus.gpu(tmp_path).found
    assert len(asked) == 3


def test_what_cannot_be_computed_is_refused(monkeypatch):
    with pytest.raises(BenchError, match="take engine=openvino"):
        replace(INT8, kind=EngineKind.keras).check()
    monkeypatch.setattr(openvino_running, "capabilities", lambda: ["FP32", "INT8"])
    with pytest.raises(BenchError, match=r"no.* bfloat16 .*FP32, INT8.*engine=keras"):
        BF16.check()
    replace(BF16, kind=EngineKind.keras).check()
    monkeypatch.setattr(openvino_running, "capabilities", lambda: ["FP32", "BF16"])
    BF16.check()
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(BenchError, match=r"pip install 'outliers-bench\[int8\]'"):
        INT8.check()
    for size in (0, -1, 1.5, True, "many"):
        with pytest.raises(BenchError, match="batch_size"):
            Engine(batch_size=size).check()


def test_networks_of_the_same_run_are_trained_and_used_in_f32(caplog):
    network = CnnScratch(name="cnn_scratch", image_size=32)
    check_model(network, Engine())
    with pytest.raises(BenchError, match=r"model\.weights=runs:"):
        check_model(network, INT8)
    check_model(Pixels("pixels", 8), INT8)
    assert "changes nothing" in caplog.text


def test_f32_changes_no_key_and_no_identity(tmp_path):
    for engine in (Engine(), Engine(precision=Precision.f32), Engine(EngineKind.keras)):
        assert key(BACKBONE, engine, tmp_path) == {"precision": "f32"}
    assert key(Pixels("pixels", 8), INT8, tmp_path) == {"precision": "f32"}
    keras = replace(BF16, kind=EngineKind.keras)
    assert key(BACKBONE, keras, tmp_path) == {"precision": "bf16", "engine": "keras"}

    split = toy_split([0, 1], [0, 1])
    of_network = Config(DataSource("toy"), BACKBONE, index=Exact("exact"), cache=Cache("x"))
    of_pixels = replace(of_network, model=Pixels("pixels", 8))
    f32 = Engine(precision=Precision.f32)

    def same(config, engine):
        return identity(replace(config, engine=engine), split) == identity(config, split)

    assert same(of_network, f32)
    assert not same(of_network, INT8)
    assert same(of_pixels, INT8)
    assert identity(replace(of_network, engine=BF16), split) != identity(
        replace(of_network, engine=INT8), split
    )


def test_a_published_row_is_float32():
    given = ["engine.batch_size=4", "engine.precision=f32", "engine=openvino"]
    assert changes(given) == []
    assert changes([*given, "engine.precision=int8"]) == ["engine.precision=int8"]


def test_quantised_once_and_its_digest_is_the_key(tmp_path, monkeypatch):
    toy = Toy()
    whole = keep_toy(toy, tmp_path)
    sampled_times = []

    def write(source, target, images):
        assert source == whole
        assert len(images) == 256
        for suffix in (".xml", ".bin"):
            target.with_suffix(suffix).write_bytes(source.with_suffix(suffix).read_bytes())

    def sample():
        sampled_times.append(1)
        return [np.zeros((16, 16, 3), np.uint8)] * 300

    monkeypatch.setattr(quantising, "_quantise", write)
    monkeypatch.setattr(quantising, "version", lambda _: "0")
    make_ready(toy, Engine(), tmp_path, sample)
    assert sampled_times == []
    before = key(toy, INT8, tmp_path)
    make_ready(toy, INT8, tmp_path, sample)
    after = key(toy, INT8, tmp_path)
    assert before["quantised"] == "none" != after["quantised"]
    assert after["precision"] == "int8"
    make_ready(toy, INT8, tmp_path, sample)
    assert sampled_times == [1]
    assert key(toy, INT8, tmp_path) == after


def test_a_view_has_its_models_network(tmp_path):
    class View:
        extractor = BACKBONE

    assert network_of(View()) is BACKBONE
    assert network_of(Pixels("pixels", 8)) is None


class Given:
    """Vectors by name; counts what is computed."""

    def __init__(self, vectors):
        self.vectors, self.computed = vectors, []

    def compute(self, images, *, commit):
        self.computed.extend(images.names)
        return {}

    def load(self, images):
        return np.array([self.vectors[name] for name in images.names], np.float32)


def test_the_cost_by_hand():
    split = toy_split([0, 1], [0, 1])
    whole = {"query-0": (1, 0), "query-1": (0, 1), "gallery-0": (1, 0), "gallery-1": (0, 1)}
    lower = {**whole, "query-1": (0.8, 0.6)}  # nearer to the other one; 0.6 from where it was
    twin = Given(whole)
    cost = precision_cost(
        split, Given(lower), twin, reduced=lambda x: x, metric=Metric.cosine, seed=0
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
    assert sorted(twin.computed) == sorted(whole)
    (line,) = readable._against_f32(cost)
    assert line[1] == "hit@1 -0.500 · MAP@R -0.500 · cosine 0.9000 (least 0.6000) · on 4 images"
    unlabelled = replace(
        split, query=replace(split.query, labels=None), gallery=replace(split.gallery, labels=None)
    )
    cost = precision_cost(
        unlabelled,
        Given(lower),
        twin,
        reduced=lambda x: x,
        metric=Metric.cosine,
        seed=0,
        label="b",
    )
    assert set(cost) == {"f32_cost/b/images", "f32_cost/b/cosine_mean", "f32_cost/b/cosine_min"}


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

    found = [sampled(cut(order)) for order in (np.arange(4000), rng.permutation(4000))]
    assert len(found[0].asked) in range(SAMPLE - 1, SAMPLE + 2)
    assert set(found[0].query.names) == set(found[1].query.names)
    assert set(found[0].gallery.names) == set(found[1].gallery.names)
    there = np.bincount(found[0].gallery.labels, minlength=800)[found[0].query.labels]
    answerable = np.mean(there > int(leave_one_out))
    assert answerable > (0.4 if leave_one_out else 0.99)


def test_a_kept_model_needs_neither_tensorflow_nor_keras(tmp_path):
    keep_toy(Toy(), tmp_path)
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from outliers_bench.features.engine import Engine\n"
        "from outliers_bench.features.inference import network_embedder\n"
        "from tests.features.openvino_toys import Toy\n"
        f"embed = network_embedder(Toy(), Engine(), Path({str(tmp_path)!r}), list)\n"
        "images = [(bytes([i]), np.zeros((16, 16, 3), np.uint8)) for i in range(100)]\n"
        "assert len(dict(embed(images))) == 100 and embed.facts['batch_size'] >= 1\n"
        "assert 'openvino' in sys.modules\n"
        "print(sorted({'tensorflow', 'keras', 'nncf', 'mlflow'} & set(sys.modules)))"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=None
    )
    assert said.stdout.strip() == "[]"
