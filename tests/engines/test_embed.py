"""Engines: Keras and OpenVINO agree at any batch size, and a network is converted once."""

import json
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from outliers_bench.engines import keras as keras_engine
from outliers_bench.engines import openvino_convert, openvino_run
from outliers_bench.engines.batches import batches
from outliers_bench.engines.embed import network_embedder
from outliers_bench.engines.gpu import Gpu
from outliers_bench.engines.options import Engine, resolve_kind
from outliers_bench.engines.protocols import EngineKind, Precision
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from tests.engines.openvino_toys import Toy, store_toy
from tests.toys import digest

BACKBONE = Backbone(name="mobilenet", image_size=32, keras="MobileNet", dim=1024, weights="random")


def photos(count: int, seed: int = 0):
    rng = np.random.default_rng(seed)
    return [
        (digest(str(i)), rng.integers(0, 256, (32, 32, 3), dtype=np.uint8)) for i in range(count)
    ]


def embed_all(cache, images, kind=EngineKind.openvino, batch_size="auto"):
    engine = Engine(kind, batch_size)
    embedder = network_embedder(BACKBONE, engine, cache, lambda: [p for _, p in photos(3)])
    return dict(embedder(images))


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def test_openvino_agrees_with_keras(cache):
    images = photos(37)
    expected = embed_all(cache, images, EngineKind.keras)
    found = embed_all(cache, images)
    assert found.keys() == expected.keys() == {key for key, _ in images}
    a, b = np.array(list(expected.values())), np.array([found[key] for key in expected])
    assert a.shape == (37, 1024)
    assert np.abs(a - b).max() <= 1e-4 * np.abs(a).max()
    assert a.std() > 0


@pytest.mark.parametrize(
    "kind",
    [pytest.param(EngineKind.keras, marks=pytest.mark.slow), EngineKind.openvino],
    ids=["keras", "openvino"],
)
def test_a_vector_does_not_depend_on_its_neighbors(cache, kind):
    images = photos(11)
    full = embed_all(cache, images, kind, 4)
    part = embed_all(cache, images[7:], kind, 4)
    assert all(part[key].tobytes() == full[key].tobytes() for key in part)
    assert len(part) == 4


def test_any_batch_size(cache):
    images = photos(10)
    expected = embed_all(cache, images)
    for size in (1, 3, 16):
        found = embed_all(cache, images, batch_size=size)
        assert found.keys() == expected.keys()
        for key, vector in found.items():
            assert np.allclose(vector, expected[key], rtol=1e-4, atol=1e-5)


def test_a_network_is_converted_once_and_its_difference_is_recorded(cache, monkeypatch):
    embed_all(cache, photos(1))
    monkeypatch.setattr(Backbone, "build", lambda _: pytest.fail("built again"))
    embed_all(cache, photos(1))
    (record,) = (cache / "models").glob("*/conversion.json")
    assert 0 <= json.loads(record.read_text())["max_relative_difference"] < 1e-4
    assert [path for path in (cache / "models").iterdir() if path.name.startswith(".")] == []


def test_a_conversion_that_disagrees_is_refused_and_not_cached(tmp_path, monkeypatch):
    monkeypatch.setattr(openvino_convert, "TOLERANCE", -1.0)
    with pytest.raises(BenchError, match="engine=keras"):
        embed_all(tmp_path, photos(1))
    assert list((tmp_path / "models").iterdir()) == []


def test_a_failed_conversion_is_reported_in_one_line_with_a_solution(tmp_path, monkeypatch):
    def fail(_):
        exec("del tensorflow")  # as OpenVINO did on Python 3.13

    monkeypatch.setattr(openvino_convert, "read_graph", fail)
    message = (
        r"mobilenet: OpenVINO 2\S+ cannot convert it; use engine=keras \S+=f32 \(NameError: .*\)"
    )
    with pytest.raises(BenchError, match=message) as caught:
        embed_all(tmp_path, photos(1))
    assert "\n" not in str(caught.value)
    assert list((tmp_path / "models").iterdir()) == []


def test_openvino_sends_no_telemetry():
    openvino_run.import_openvino()
    assert sys.modules["openvino_telemetry"] is None


def test_batches_are_padded_to_one_shape():
    groups = list(batches(photos(5), 2))
    assert [len(keys) for keys, _ in groups] == [2, 2, 1]
    assert {stack.shape for _, stack in groups} == {(2, 32, 32, 3)}
    assert groups[-1][1][1].max() == 0


def test_auto_is_openvino_without_a_gpu(monkeypatch):
    monkeypatch.setattr("pathlib.Path.exists", lambda _: False)
    assert resolve_kind(EngineKind.auto) is EngineKind.openvino
    assert resolve_kind(EngineKind.keras) is EngineKind.keras


def test_tensorflow_uses_no_more_threads_than_a_container_has_cores(tmp_path):
    (tmp_path / "tensorflow.py").write_text(
        "from types import SimpleNamespace as N\n"
        "threads = []\n"
        "config = N(experimental=N(enable_tensor_float_32_execution=lambda _: None),\n"
        "           threading=N(set_intra_op_parallelism_threads=threads.append))\n"
    )
    code = (
        f"import os, sys; sys.path.insert(0, {str(tmp_path)!r})\n"
        "from outliers_bench.engines import tensorflow as ours\n"
        "ours.os.cpu_count, ours.cores = lambda: 8, lambda: int(sys.argv[1])\n"
        "print(ours.import_tensorflow().threads)"
    )
    for cores, expected in (("3", "[3]"), ("8", "[]")):
        done = subprocess.run(
            [sys.executable, "-c", code, cores], capture_output=True, text=True, check=True
        )
        assert done.stdout.strip() == expected


class Vectors:
    """Result of an asynchronous GPU computation; `numpy` waits for it."""

    def __init__(self, order, stack):
        self.order, self.stack = order, stack
        order.append(f"start {stack[0, 0, 0, 0]}")

    def numpy(self):
        self.order.append(f"fetch {self.stack[0, 0, 0, 0]}")
        return self.stack.mean(axis=(1, 2, 3), dtype=np.float32)[:, None]


def test_a_gpu_gets_the_next_batch_before_the_previous_one_is_fetched():
    order = []
    run = keras_engine._Runner(lambda stack: Vectors(order, stack), 2)
    stream = [(bytes([i]), np.full((4, 4, 3), i, np.uint8)) for i in range(5)]
    found = dict(run(stream))
    assert {key[0]: vector[0] for key, vector in found.items()} == {i: i for i in range(5)}
    assert order == ["start 0", "start 2", "fetch 0", "start 4", "fetch 2", "fetch 4"]


@pytest.mark.parametrize("kind", ["ResourceExhaustedError", "InternalError"])
def test_a_batch_that_does_not_fit_into_memory_is_reported(kind):
    tf = import_tensorflow()

    def full(_):
        raise getattr(tf.errors, kind)(None, None, "RESOURCE_EXHAUSTED: Out of memory")

    with pytest.raises(BenchError, match=r"engine\.batch_size=64.*memory"):
        list(keras_engine._Runner(full, 64)(photos(1)))

    def broken(_):
        raise tf.errors.InternalError(None, None, "something else")

    with pytest.raises(tf.errors.InternalError):
        list(keras_engine._Runner(broken, 64)(photos(1)))


@dataclass
class Small:
    """A network of two layers, the second of which needs float32 to be exact."""

    name: str = "small"
    image_size: int = 32

    def space(self):
        return {"architecture": "Small", "image_size": self.image_size}

    def build(self):
        import keras

        keras.utils.set_random_seed(0)
        pixels = keras.Input((32, 32, 3), dtype="float32")
        maps = keras.layers.Conv2D(8, 3, activation="relu")(pixels / 255.0)
        return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(maps))


def test_keras_in_bfloat16_and_with_xla(tmp_path, monkeypatch):
    import keras

    def embed_with(precision, on_gpu=False):
        monkeypatch.setattr(keras_engine, "detect_gpu", lambda _cache: Gpu(found=on_gpu))
        engine = Engine(EngineKind.keras, 4, precision)
        embed = network_embedder(Small(), engine, tmp_path, list)
        found = dict(embed(photos(6)))
        return np.array([found[key] for key, _ in photos(6)]), embed

    float32, embed = embed_with(Precision.f32)
    assert embed.facts == {"batch_size": 4}
    fused, embed = embed_with(Precision.f32, on_gpu=True)
    assert embed._runner._forward._jit_compile
    assert np.allclose(fused, float32, rtol=1e-5)
    (file,) = (tmp_path / "machine").glob("batch-small-*.json")
    assert len(json.loads(file.read_text())) == 2  # the size is sound on each device
    bfloat16, _ = embed_with(Precision.bf16, on_gpu=True)
    assert bfloat16.dtype == np.float32
    difference = np.abs(bfloat16 - float32).max() / np.abs(float32).max()
    assert 1e-5 < difference < 2e-2  # 8 bits of mantissa
    assert keras.config.dtype_policy().name == "float32"


def test_a_model_that_does_not_fit_into_memory_is_reported(tmp_path, monkeypatch):
    class Full:
        def compile_model(self, *_):
            raise RuntimeError("Exception from allocator.cpp:79:\nstd::bad_alloc")

        def __getattr__(self, name):
            return getattr(core, name)

    openvino = openvino_run.import_openvino()
    core, model = openvino.Core(), store_toy(Toy(), tmp_path)
    monkeypatch.setattr(openvino, "Core", Full)
    with pytest.raises(BenchError, match=r"engine\.batch_size=8: too many .* memory"):
        openvino_run.compile_model(model, 8)
