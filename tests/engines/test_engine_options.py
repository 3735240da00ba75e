"""The `engine=` option: resolution of `auto`, and invalid options."""

import sys
from dataclasses import replace

import pytest

from outliers_bench.engines import gpu as gpus
from outliers_bench.engines import openvino_run
from outliers_bench.engines import options as engines
from outliers_bench.engines.gpu import Gpu
from outliers_bench.engines.options import Engine, resolve_engine
from outliers_bench.engines.protocols import EngineKind, Precision
from outliers_bench.errors import BenchError
from outliers_bench.models.pixels import Pixels
from outliers_bench.models.precision import check_model
from outliers_bench.training.models import CnnScratch

INT8 = Engine(precision=Precision.int8)
BF16 = Engine(precision=Precision.bf16)


def test_auto_is_resolved_by_gpu(tmp_path, on_gpu):
    def resolved(**options):
        engine = resolve_engine(Engine(**options), tmp_path)
        return engine.kind.value, engine.precision.value

    assert resolved() == ("openvino", "f32")
    on_gpu(bfloat16=True)
    assert resolved() == ("keras", "bf16")
    assert resolved(kind=EngineKind.keras) == ("keras", "f32")
    assert resolved(precision=Precision.f32) == ("keras", "f32")
    assert resolved(precision=Precision.int8) == ("openvino", "int8")
    on_gpu(bfloat16=False)
    assert resolved() == ("keras", "f32")


def test_the_gpu_is_detected_once_and_again_after_a_change(tmp_path, monkeypatch):
    queries = []
    monkeypatch.setattr(gpus, "_query_tensorflow", lambda: queries.append(1) or Gpu(True, True))
    monkeypatch.setattr(gpus, "_DEVICES", (str(tmp_path / "gpu"),))
    assert gpus.detect_gpu(tmp_path) == Gpu(False, False)
    assert queries == []
    (tmp_path / "gpu").touch()
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    for _ in range(3):
        assert gpus.detect_gpu(tmp_path) == Gpu(True, True)
    assert len(queries) == 1
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "1")
    gpus.detect_gpu(tmp_path)
    assert len(queries) == 2
    for file in (tmp_path / "machine").iterdir():
        file.write_text("{")
    assert gpus.detect_gpu(tmp_path).found
    assert len(queries) == 3
    (tmp_path / "nvidia_cudnn_cu12-9.3.0.dist-info").mkdir()  # only CUDA is installed
    monkeypatch.syspath_prepend(tmp_path)
    gpus.detect_gpu(tmp_path)
    assert len(queries) == 4
    monkeypatch.setattr(sys, "path", [])  # no package is named tensorflow
    assert gpus.detect_gpu(tmp_path).found
    assert len(queries) == 5


def test_a_container_with_only_the_second_card_has_a_gpu(monkeypatch):
    monkeypatch.setattr("pathlib.Path.exists", lambda path: str(path) == "/dev/nvidiactl")
    monkeypatch.setattr(gpus, "_query_tensorflow", lambda: Gpu(True, True))
    assert gpus.detect_gpu().found


def test_unsupported_options_are_refused(monkeypatch):
    with pytest.raises(BenchError, match="use engine=openvino"):
        replace(INT8, kind=EngineKind.keras).check()
    monkeypatch.setattr(openvino_run, "capabilities", lambda: ["FP32", "INT8"])
    with pytest.raises(BenchError, match=r"not support bfloat16 .*FP32, INT8.*engine=keras"):
        BF16.check()
    replace(BF16, kind=EngineKind.keras).check()
    monkeypatch.setattr(openvino_run, "capabilities", lambda: ["FP32", "BF16"])
    BF16.check()
    monkeypatch.setattr(engines, "find_spec", lambda _: None)
    with pytest.raises(BenchError, match=r"python -m pip install 'nncf>="):
        INT8.check()
    for size in (0, -1, 1.5, True, "many"):
        with pytest.raises(BenchError, match="batch_size"):
            Engine(batch_size=size).check()


def test_networks_trained_in_the_same_run_use_f32(caplog):
    network = CnnScratch(name="cnn_scratch", image_size=32)
    check_model(network, Engine())
    with pytest.raises(BenchError, match=r"model\.weights=runs:"):
        check_model(network, INT8)
    check_model(Pixels("pixels", 8), INT8)
    assert "has no effect" in caplog.text
