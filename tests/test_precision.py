"""Precision: what can be had is refused early or kept apart, and what it costs is measured."""

import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from outliers_bench.config import Cache, Config
from outliers_bench.data.decode import decode, resize
from outliers_bench.data.source import DataSource
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.errors import BenchError
from outliers_bench.features import engine as engines
from outliers_bench.features import gpu as gpus
from outliers_bench.features import openvino_running, precision, quantising
from outliers_bench.features.backbone import Backbone
from outliers_bench.features.engine import Engine, EngineKind, Precision, resolved
from outliers_bench.features.extract import Features
from outliers_bench.features.extractor import Extractor
from outliers_bench.features.gpu import Gpu
from outliers_bench.features.inference import network_embedder
from outliers_bench.features.kept_models import keep, place, record
from outliers_bench.features.pixels import Pixels
from outliers_bench.features.precision import check_model, key, make_ready, network_of
from outliers_bench.identity import identity
from outliers_bench.measure import Meter
from outliers_bench.methods import build as building
from outliers_bench.methods import precision_cost as precision_costs
from outliers_bench.methods.embedding import Embedding
from outliers_bench.methods.precision_cost import SAMPLE, precision_cost, sampled
from outliers_bench.published import Published, changes, tags
from outliers_bench.reports import format as readable
from outliers_bench.retrieval.indexes.exact import Exact
from outliers_bench.retrieval.indexes.index import Metric
from outliers_bench.training.models import CnnScratch
from outliers_bench.types import Split
from tests.features.openvino_toys import Toy, keep_toy
from tests.toys import ArrayReader, image_set, noise_images, toy_split
from tests.training_toys import coloured

BACKBONE = Backbone(name="mobilenet", image_size=32, keras="MobileNet", dim=1024, weights="random")
INT8 = Engine(precision=Precision.int8)
BF16 = Engine(precision=Precision.bf16)
OPENVINO = EngineKind.openvino


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
    (tmp_path / "nvidia_cudnn_cu12-9.3.0.dist-info").mkdir()  # CUDA alone is installed
    monkeypatch.syspath_prepend(tmp_path)
    gpus.gpu(tmp_path)
    assert len(asked) == 4
    monkeypatch.setattr(sys, "path", [])  # nothing is called tensorflow
    assert gpus.gpu(tmp_path).found
    assert len(asked) == 5


def test_a_container_with_the_second_card_alone_has_a_gpu(monkeypatch):
    monkeypatch.setattr("pathlib.Path.exists", lambda path: str(path) == "/dev/nvidiactl")
    monkeypatch.setattr(gpus, "_asked", lambda: Gpu(True, True))
    assert gpus.gpu().found


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


def test_every_precision_has_its_keys_and_identities(tmp_path):
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
    lower = [INT8, *(Engine(kind, "auto", Precision.bf16) for kind in (EngineKind.keras, OPENVINO))]
    found = {identity(replace(of_network, engine=engine), split) for engine in lower}
    assert len(found) == 3  # bfloat16 is rounded at other places by each
    assert identity(replace(of_network, engine=replace(INT8, kind=OPENVINO)), split) in found


def test_a_published_row_is_float32():
    given = ["engine.batch_size=4", "engine.precision=f32", "engine=openvino"]
    assert changes(given) == []
    assert changes([*given, "engine.precision=int8"]) == ["engine.precision=int8"]
    assert changes(["engine.precision=int8"], precision="int8") == ["engine.precision=int8"]
    # What `auto` has taken on a GPU.
    assert changes(["seed=1"], precision="bf16") == ["engine.precision=bf16"]
    row = Published("models_we_built", "vgg16")
    assert tags(row, ["engine.batch_size=4"], precision="bf16") == {}
    assert tags(row, ["engine.batch_size=4"])["row"] == "vgg16"


def copied(source, target):
    for suffix in (".xml", ".bin"):
        target.with_suffix(suffix).write_bytes(source.with_suffix(suffix).read_bytes())


def test_quantised_once_and_its_digest_is_the_key(tmp_path, monkeypatch):
    toy = Toy()
    whole = keep_toy(toy, tmp_path)
    sampled_times = []

    def write(source, target, images):
        assert source == whole
        assert len(images) == 256
        copied(source, target)

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
    quantising.where(toy, tmp_path).with_name("conversion.json").write_text("{")
    assert key(toy, INT8, tmp_path) == after  # from the model itself


def test_a_fresh_conversion_is_checked_on_a_few_of_the_photos_for_calibration(
    tmp_path, monkeypatch
):
    toy, taken, checked = Toy(), [], []
    whole = keep_toy(toy, tmp_path)

    def sample():
        taken.append(1)
        return [np.full((16, 16, 3), row, np.uint8) for row in range(256)]

    def convert(_toy, _cache, sample):
        checked.extend(sample())
        return whole

    monkeypatch.setattr(quantising, "converted", convert)
    monkeypatch.setattr(quantising, "_quantise", lambda source, target, _: copied(source, target))
    monkeypatch.setattr(quantising, "version", lambda _: "0")
    make_ready(toy, INT8, tmp_path, sample)
    assert taken == [1]
    assert [image[0, 0, 0] for image in checked] == list(range(8))


@dataclass
class Seeing(Extractor, Toy):
    """The toy as a model."""

    name: str = "toy"
    image_size: int = 16

    @property
    def dimensions(self):
        return 4

    def space(self):
        return Toy().space()

    def embedder(self, engine, cache, sample):
        return network_embedder(self, engine, cache, sample)


def test_a_run_is_confirmed_before_it_quantises_and_its_time_is_a_stage(tmp_path, monkeypatch):
    model, meter, order = Seeing(), Meter(), []

    def ready(*_):
        order.append("quantised")
        assert "embed" not in meter.seconds  # in the stage, which is not over

    def is_ready(*_):
        return "quantised" in order

    keep_toy(Toy(), tmp_path)
    monkeypatch.setattr(precision, "is_ready", is_ready)
    monkeypatch.setattr(precision, "make_ready", ready)
    photos = image_set([f"image-{i}" for i in range(3)], reader=noise_images(3))
    features = Features(model, Engine(), tmp_path, meter)
    features.compute(photos, commit=lambda: order.append("confirmed"))
    assert order[:2] == ["confirmed", "quantised"]
    assert meter.seconds["embed"] > 0
    order.clear()
    features.compute(photos.take([]), commit=lambda: order.append("confirmed"))
    assert order == []  # nothing to calibrate on, and nothing to embed


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("full")])
def test_a_model_that_there_is_no_room_for(tmp_path, error):
    def make(_):
        raise error

    with pytest.raises(BenchError, match=r"cache\.dir=.*cannot be kept.*(No space|full)"):
        keep(place({"a": 1}, tmp_path), make)
    assert list((tmp_path / "models").iterdir()) == []


def test_a_view_has_its_models_network(tmp_path):
    class View:
        extractor = BACKBONE

    assert network_of(View()) is BACKBONE
    assert network_of(Pixels("pixels", 8)) is None


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
    assert sorted(twin.computed) == sorted(twin.loaded) == sorted(whole)
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
    Embedding(config, lower, Meter(), in_f32=lambda: twin)._compare_with_f32(split)
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
            made.append((model.name, resolved(config.engine, config.cache.path).precision.value))
            super().__init__({"a": (len(made), 0.0)})

        def identity(self):
            return "one"

        blank = learn = identity

    monkeypatch.setattr(building, "vectors_of", lambda model, config, _meter: One(model, config))
    models = (BACKBONE, CnnScratch(name="cnn_scratch", image_size=32))
    config = Config(
        DataSource("toy"), ensemble(*models, member_weights=weights), index=Exact("exact")
    )
    meter = Meter(counts={"weight_mobilenet": 0.36, "weight_cnn_scratch": 0.64})
    method = building.build(config, meter)
    assert made == [("mobilenet", "bf16"), ("cnn_scratch", "bf16")]
    twin = method._in_f32()
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
    photos = coloured({"ant": 16, "bee": 16}, side=32)
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


@pytest.mark.slow
def test_a_network_that_is_really_quantised_agrees_with_float32(tmp_path, shared):
    """MobileNet with its real weights: with random ones there is nothing to agree on."""
    pytest.importorskip("nncf")
    weights = shared / "weights" / "mobilenet_1.0_224_notop.weights.h5"
    files = sorted((shared / "data" / "caltech101_animals").rglob("*.jpg"))[::40][:24]
    photos = [resize(decode(file.read_bytes(), name=file.name), 96) for file in files]
    network = replace(BACKBONE, image_size=96, weights=str(weights))

    def embedded(engine):
        make_ready(network, engine, tmp_path, lambda: photos)
        embed = network_embedder(network, engine, tmp_path, lambda: photos[:8])
        found = dict(embed((bytes([row]), photo) for row, photo in enumerate(photos)))
        return np.array([found[bytes([row])] for row in range(len(photos))])

    whole, lower = embedded(Engine(OPENVINO)), embedded(INT8)
    assert not np.array_equal(whole, lower)
    cosines = precision_costs._cosines(whole, lower)
    assert cosines.mean() > 0.9
    assert cosines.min() > 0.7
    unlike = precision_costs._cosines(whole, np.roll(lower, 1, axis=0))
    assert cosines.mean() > unlike.mean() + 0.1
    made = record(quantising.where(network, tmp_path))
    assert made["calibrated_on"] == 24
    assert key(network, INT8, tmp_path)["quantised"] == made["quantised"] != "none"


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
