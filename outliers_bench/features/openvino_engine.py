"""OpenVINO: converts a Keras network once, keeps it, and runs it on the CPU."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.features.extractor import Key
from outliers_bench.features.store import file_stem
from outliers_bench.features.tensorflow import import_tensorflow
from outliers_bench.types import RGB, FloatArray

if TYPE_CHECKING:
    from outliers_bench.features.inference import Network

# Float32 engines differ by the order of their sums; what is wrongly converted differs by far more.
TOLERANCE = 1e-3
LONG_AGO = 24 * 3600.0  # seconds; no conversion takes that long


def converted(backbone: Network, cache: Path, sample: Callable[[], list[RGB]]) -> Path:
    """The backbone as an OpenVINO model on disk; converted now if it was not before.

    A fresh conversion is run beside Keras on the sample, and what they differ by is kept in
    `conversion.json` beside the model.

    Parameters
    ----------
    backbone : Network
    cache : Path
        Directory of all that is kept; the model goes to `models/` in it.
    sample : callable
        Gives a few images, resized.

    Returns
    -------
    Path
        The .xml file of a model that takes uint8 RGB, shape (batch, image_size, image_size, 3).

    Raises
    ------
    BenchError
        If the weights cannot be had, or the conversion disagrees with Keras.
    """
    space = {**backbone.space(), "openvino": version("openvino")}
    home = cache / "models" / file_stem(space)
    model = home / "model.xml"
    if model.exists():
        return model
    import_tensorflow()
    network = backbone.build()
    home.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(home)
    # Made aside and moved in one step: neither a kill nor a second process leaves half a model.
    aside = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}-"))
    try:
        difference = _convert(network, backbone.image_size, aside / "model.xml", sample())
        if not difference <= TOLERANCE:
            raise BenchError(
                f"model={backbone.name}: OpenVINO's features differ from Keras' by "
                f"{difference:.1e} relative; use engine=keras, and please report it"
            )
        record = {"max_relative_difference": difference, **space}
        (aside / "conversion.json").write_text(json.dumps(record, indent=2) + "\n")
        with suppress(OSError):  # another process was faster; its model is as good
            aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    if not model.exists():
        raise BenchError(f"cache.dir={cache}: the converted model cannot be kept in {home.parent}")
    return model


def _remove_leftovers(home: Path) -> None:
    """Remove what conversions of this model left behind that were killed long ago."""
    for leftover in home.parent.glob(f".{home.name}-*"):
        if time.time() - leftover.stat().st_mtime > LONG_AGO:
            shutil.rmtree(leftover, ignore_errors=True)


def _convert(network: Any, size: int, target: Path, sample: list[RGB]) -> float:  # noqa: ANN401
    """Write the converted network and return its largest difference from Keras, relative."""
    ov = import_openvino()
    tf = import_tensorflow()
    from openvino.preprocess import PrePostProcessor

    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    forward = tf.function(lambda x: network(x, training=False), input_signature=signature)
    whole = ov.convert_model(forward)
    # What a nested network gives beside is a result of its own; the check below is of the first.
    graph = PrePostProcessor(ov.Model(whole.outputs[:1], whole.get_parameters()))
    graph.input().tensor().set_element_type(ov.Type.u8)
    graph.input().preprocess().convert_element_type(ov.Type.f32)
    model = graph.build()
    ov.save_model(model, target, compress_to_fp16=False)
    images = np.stack(sample)
    expected = forward(tf.cast(images, tf.float32)).numpy()
    found = _compile(ov, target, 1)
    features = np.concatenate([found({0: image[None]})[0] for image in images])
    return float(np.abs(features - expected).max() / (np.abs(expected).max() or 1.0))


class OpenVinoEmbedder:
    """Embeds a stream of images, several requests in flight.

    Parameters
    ----------
    model : Path
        A model that `converted` has made.
    batch : int
        Images a request.
    """

    def __init__(self, model: Path, batch: int) -> None:
        ov = import_openvino()
        self._batch = batch
        compiled = _compile(ov, model, batch)
        self._queue = ov.AsyncInferQueue(compiled)
        self._done: deque[tuple[list[Key], FloatArray]] = deque()
        self._queue.set_callback(self._take)

    def _take(self, request: Any, keys: list[Key]) -> None:  # noqa: ANN401 - openvino is untyped
        self._done.append((keys, request.get_output_tensor().data.copy()))

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        from outliers_bench.features.inference import batches

        for keys, stack in batches(images, self._batch):
            self._queue.start_async({0: stack}, keys)
            yield from self._finished()
        self._queue.wait_all()
        yield from self._finished()

    def _finished(self) -> Iterator[tuple[Key, FloatArray]]:
        while self._done:
            keys, vectors = self._done.popleft()
            yield from zip(keys, vectors, strict=False)


def _compile(ov: Any, model: Path, batch: int) -> Any:  # noqa: ANN401 - openvino is untyped
    core = ov.Core()
    network = core.read_model(model)
    shape = network.input().partial_shape
    shape[0] = batch
    network.reshape(shape)
    # Without the hint, processors that have bfloat16 would use it.
    options = {"PERFORMANCE_HINT": "THROUGHPUT", "INFERENCE_PRECISION_HINT": "f32"}
    return core.compile_model(network, "CPU", options)


def import_openvino() -> Any:  # noqa: ANN401 - openvino is untyped
    """Import OpenVINO without its telemetry: a benchmark on private photos calls nobody."""
    # With None in its place the module counts as not installed, and OpenVINO uses its stub.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    import openvino

    return openvino
