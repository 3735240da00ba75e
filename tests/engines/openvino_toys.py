"""Small networks in the cache of OpenVINO models, built without TensorFlow."""

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from outliers_bench.engines.model_cache import model_path, store_model
from outliers_bench.engines.openvino_convert import DIFFERENCE, space_of
from outliers_bench.engines.openvino_run import import_openvino


@dataclass
class Toy:
    """A `Network` of four averaged convolutions that is cached and cannot be built."""

    name: str = "toy"
    image_size: int = 16

    def space(self):
        return {"architecture": "Toy", "image_size": self.image_size}

    def build(self):
        raise AssertionError("the model is cached and should not be built")


def store_toy(toy: Toy, cache: Path, *, across: bool = False) -> Path:
    """Cache the toy's model; with `across`, its vectors depend on all images in a batch."""
    model = model_path(space_of(toy), cache)
    store_model(model, lambda target: _write(toy, target, across=across))
    return model


def _write(toy: Toy, target: Path, *, across: bool):
    ov = import_openvino()
    from openvino import opset13 as ops

    side = toy.image_size
    pixels = ops.parameter([-1, side, side, 3], np.uint8, name="pixels")
    images = ops.transpose(ops.convert(pixels, np.float32), np.array([0, 3, 1, 2]))
    kernels = np.random.default_rng(0).normal(size=(4, 3, 3, 3)).astype(np.float32)
    maps = ops.convolution(images, kernels, [1, 1], [0, 0], [0, 0], [1, 1])
    vectors = ops.reduce_mean(ops.relu(maps), np.array([2, 3]))
    if across:
        vectors = ops.add(vectors, ops.reduce_mean(vectors, np.array([0]), keep_dims=True))
    ov.save_model(ov.Model([vectors], [pixels]), target, compress_to_fp16=False)
    return {DIFFERENCE: 1e-6, **space_of(toy)}


def read(file: Path):
    return json.loads(file.read_text())
