"""int8: a network is quantized once, on a few photos, and cached."""

import subprocess
import sys
from dataclasses import dataclass, replace

import numpy as np
import pytest

from outliers_bench.data.decode import decode, resize
from outliers_bench.engines import quantize
from outliers_bench.engines.embed import network_embedder
from outliers_bench.engines.model_cache import model_path, read_record, store_model
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import EngineKind, Precision
from outliers_bench.errors import BenchError
from outliers_bench.features.extract import Features
from outliers_bench.models import precision
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Extractor
from outliers_bench.models.precision import precision_space, unquantized
from outliers_bench.runtime.meter import Meter
from tests.engines.openvino_toys import Toy, store_toy
from tests.toys import image_set, noise_images

BACKBONE = Backbone(name="mobilenet", image_size=32, keras="MobileNet", dim=1024, weights="random")
INT8 = Engine(precision=Precision.int8)
OPENVINO = EngineKind.openvino


def make_ready(describer, engine, cache, sample):
    if (network := unquantized(describer, engine, cache)) is not None:
        quantize.quantize_or_load(network, cache, sample)


def copy_model(source, target):
    for suffix in (".xml", ".bin"):
        target.with_suffix(suffix).write_bytes(source.with_suffix(suffix).read_bytes())


def test_a_network_is_quantized_once_and_its_digest_is_part_of_the_key(tmp_path, monkeypatch):
    toy = Toy()
    float32 = store_toy(toy, tmp_path)
    samples = []

    def write(source, target, images, **_):
        assert source == float32
        assert len(images) == 256
        copy_model(source, target)

    def sample():
        samples.append(1)
        return [np.zeros((16, 16, 3), np.uint8)] * 300

    monkeypatch.setattr(quantize, "_quantize", write)
    monkeypatch.setattr(quantize, "version", lambda _: "0")
    make_ready(toy, Engine(), tmp_path, sample)
    assert samples == []
    before = precision_space(toy, INT8, tmp_path)
    make_ready(toy, INT8, tmp_path, sample)
    after = precision_space(toy, INT8, tmp_path)
    assert before["quantized"] == "none" != after["quantized"]
    assert after["precision"] == "int8"
    make_ready(toy, INT8, tmp_path, sample)
    assert samples == [1]
    assert precision_space(toy, INT8, tmp_path) == after
    quantize.quantized_path(toy, tmp_path).with_name("conversion.json").write_text("{")
    assert precision_space(toy, INT8, tmp_path) == after  # computed from the model


def test_a_new_conversion_is_checked_on_a_few_photos_of_the_calibration(tmp_path, monkeypatch):
    toy, samples, checked = Toy(), [], []
    float32 = store_toy(toy, tmp_path)

    def sample():
        samples.append(1)
        return [np.full((16, 16, 3), row, np.uint8) for row in range(256)]

    def convert(_toy, _cache, sample):
        checked.extend(sample())
        return float32

    monkeypatch.setattr(quantize, "convert_or_load", convert)
    monkeypatch.setattr(
        quantize, "_quantize", lambda source, target, *_, **__: copy_model(source, target)
    )
    monkeypatch.setattr(quantize, "version", lambda _: "0")
    make_ready(toy, INT8, tmp_path, sample)
    assert samples == [1]
    assert [image[0, 0, 0] for image in checked] == list(range(8))


@dataclass
class ToyModel(Extractor, Toy):
    """The toy as a model."""

    name: str = "toy"
    image_size: int = 16

    @property
    def dimensions(self):
        return 4

    def space(self):
        return Toy().space()


def test_quantization_counts_as_embedding_and_needs_photos(tmp_path, monkeypatch):
    model, meter, order = ToyModel(), Meter(), []

    def ready(*_):
        order.append("quantized")
        assert "embed" not in meter.seconds  # within the stage, which has not ended

    store_toy(Toy(), tmp_path)
    monkeypatch.setattr(precision, "unquantized", lambda *_: model)
    monkeypatch.setattr(quantize, "quantize_or_load", ready)
    photos = image_set([f"image-{i}" for i in range(3)], reader=noise_images(3))
    features = Features(model, Engine(), tmp_path, meter)
    features.compute(photos)
    assert order == ["quantized"]
    assert meter.seconds["embed"] > 0
    order.clear()
    features.compute(photos.take([]))
    assert order == []  # no photos to calibrate on or to embed


@pytest.mark.extra("int8")
def test_a_failure_of_nncf_is_reported_in_one_line_with_a_solution(tmp_path, monkeypatch):
    monkeypatch.setattr("nncf.quantize", lambda *_, **__: {}["gone"])
    toy = Toy()
    store_toy(toy, tmp_path)
    message = (
        r"model=toy: NNCF 3\S+ cannot quantize it; use engine\.precision=f32 \(KeyError: 'gone'"
    )
    with pytest.raises(BenchError, match=message):
        make_ready(toy, INT8, tmp_path, lambda: [np.zeros((16, 16, 3), np.uint8)] * 3)
    assert len(list((tmp_path / "models").iterdir())) == 1, "only the float32 model"


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), RuntimeError("full")])
def test_a_full_disk_is_reported(tmp_path, error):
    def make(_):
        raise error

    with pytest.raises(BenchError, match=r"cache\.dir=.*cannot store a model.*(No space|full)"):
        store_model(model_path({"a": 1}, tmp_path), make)
    assert list((tmp_path / "models").iterdir()) == []


def cosines_of(one, other):
    lengths = np.linalg.norm(one, axis=1) * np.linalg.norm(other, axis=1)
    return (one * other).sum(axis=1) / lengths


@pytest.mark.extra("int8")
@pytest.mark.parametrize(("cosine", "warned"), [(0.1, True), (None, False)])
def test_a_broken_quantization_is_warned_about(tmp_path, monkeypatch, caplog, cosine, warned):
    toy, photos = Toy(), list(np.random.default_rng(0).integers(0, 256, (4, 16, 16, 3), np.uint8))
    monkeypatch.setattr(
        quantize, "_quantize", lambda source, target, *_, **__: copy_model(source, target)
    )
    if cosine is not None:
        monkeypatch.setattr(quantize, "_mean_cosine", lambda *_: cosine)
    store_toy(toy, tmp_path)
    make_ready(toy, INT8, tmp_path, lambda: photos)
    assert ("mean cosine of 0.10" in caplog.text) == warned
    embed = network_embedder(toy, INT8, tmp_path, list)
    assert embed.facts["cosine_with_f32"] == pytest.approx(cosine or 1.0)


@pytest.mark.extra("int8")
@pytest.mark.slow
def test_a_quantized_network_agrees_with_float32(tmp_path, shared):
    """Uses the ImageNet weights of MobileNet, because random weights do not agree."""
    weights = shared / "weights" / "mobilenet_1.0_224_notop.weights.h5"
    files = sorted((shared / "data" / "caltech101_animals").rglob("*.jpg"))[::40][:24]
    photos = [resize(decode(file.read_bytes(), name=file.name), 96) for file in files]
    network = replace(BACKBONE, image_size=96, weights=str(weights))

    def embed_all(engine):
        make_ready(network, engine, tmp_path, lambda: photos)
        embed = network_embedder(network, engine, tmp_path, lambda: photos[:8])
        vectors = dict(embed((bytes([row]), photo) for row, photo in enumerate(photos)))
        return np.array([vectors[bytes([row])] for row in range(len(photos))])

    float32, int8 = embed_all(Engine(OPENVINO)), embed_all(INT8)
    assert not np.array_equal(float32, int8)
    cosines, others = (cosines_of(float32, rows) for rows in (int8, np.roll(int8, 1, axis=0)))
    assert cosines.mean() > 0.9
    assert cosines.min() > 0.7
    assert cosines.mean() > others.mean() + 0.1
    record = read_record(quantize.quantized_path(network, tmp_path))
    assert record["cosine_with_f32"] == pytest.approx(cosines.mean(), abs=1e-3)
    assert record["calibrated_on"] == 24
    assert precision_space(network, INT8, tmp_path)["quantized"] == record["quantized"] != "none"


def test_a_cached_model_needs_neither_tensorflow_nor_keras(tmp_path):
    store_toy(Toy(), tmp_path)
    code = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from outliers_bench.engines.options import Engine\n"
        "from outliers_bench.engines.embed import network_embedder\n"
        "from tests.engines.openvino_toys import Toy\n"
        f"embed = network_embedder(Toy(), Engine(), Path({str(tmp_path)!r}), list)\n"
        "images = [(bytes([i]), np.zeros((16, 16, 3), np.uint8)) for i in range(100)]\n"
        "assert len(dict(embed(images))) == 100 and embed.facts['batch_size'] >= 1\n"
        "assert 'openvino' in sys.modules\n"
        "print(sorted({'tensorflow', 'keras', 'nncf', 'mlflow'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=None
    )
    assert done.stdout.strip() == "[]"
