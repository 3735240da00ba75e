"""Conversion of Keras networks to OpenVINO models, checked against Keras and cached."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.engines.model_cache import is_stored, model_path, store_model
from outliers_bench.engines.openvino_run import embed_images, import_openvino
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.store.features import Space
from outliers_bench.types import RGB

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network

# Float32 engines differ in the order of their sums; a wrong conversion differs by far more.
TOLERANCE = 1e-3
FALLBACK = "engine=keras engine.precision=f32"
DIFFERENCE = "max_relative_difference"
_DETAIL = 300  # characters of a library's message


def convert_or_load(backbone: Network, cache: Path, sample: Callable[[], list[RGB]]) -> Path:
    """Return the path of the network's OpenVINO model, converting it if it is not cached.

    A new model is compared with Keras on the sample. Their largest relative difference is stored
    in `conversion.json` next to the model.

    Returns
    -------
    Path
        The .xml file of a model that takes uint8 RGB, shape (batch, image_size, image_size, 3).

    Raises
    ------
    BenchError
        If the weights are unavailable, or the conversion fails or disagrees with Keras.
    """
    space = space_of(backbone)
    model = model_path(space, cache)
    if is_stored(model):
        return model

    def make(target: Path) -> dict[str, Any]:
        import_tensorflow()
        difference = _convert(backbone.build(), backbone, target, sample())
        if not difference <= TOLERANCE:
            raise BenchError(
                f"model={backbone.name}: OpenVINO's features differ from Keras' by "
                f"{difference:.1e} relative; use {FALLBACK}, and please report it"
            )
        return {DIFFERENCE: difference, **space}

    store_model(model, make)
    return model


def space_of(backbone: Network) -> Space:
    """Return everything that a converted model depends on."""
    return {**backbone.space(), "openvino": version("openvino")}


def read_graph(forward: Any) -> Any:  # noqa: ANN401 - untyped
    """Read a TensorFlow function as an OpenVINO model.

    `openvino.convert_model` does the same, but first inspects its environment in a way that fails
    on Python 3.13 (a NameError in OpenVINO 2026.4).

    Parameters
    ----------
    forward : tensorflow.types.experimental.ConcreteFunction
        Its variables must outlive the openvino.Model, which shares their memory.
    """
    import_openvino()
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager
    from openvino.frontend.tensorflow.graph_iterator import GraphIteratorTFGraph

    frontend = FrontEndManager().load_by_framework("tf")
    # Bound to a name, because OpenVINO reads it in `convert` and does not keep it alive.
    graph = GraphIteratorTFGraph(forward.graph, share_weights=True)
    model = frontend.convert(frontend.load(graph))
    apply_moc_transformations(model, cf=False, smart_reshape=True)
    return model


def _convert(network: Any, backbone: Network, target: Path, sample: list[RGB]) -> float:  # noqa: ANN401
    """Write the converted network and return its largest relative difference from Keras."""
    ov = import_openvino()
    tf = import_tensorflow()
    from openvino.preprocess import PrePostProcessor

    size = backbone.image_size
    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    forward = tf.function(lambda x: network(x, training=False), input_signature=signature)
    function = forward.get_concrete_function()
    refused = (
        f"model={backbone.name}: OpenVINO {version('openvino')} cannot convert it; use {FALLBACK}"
    )
    with one_line_errors(refused):
        converted = read_graph(function)
        # Nested networks add outputs of their own; only the first one is needed and checked.
        graph = PrePostProcessor(ov.Model(converted.outputs[:1], converted.get_parameters()))
        graph.input().tensor().set_element_type(ov.Type.u8)
        graph.input().preprocess().convert_element_type(ov.Type.f32)
        model = graph.build()
    ov.save_model(model, target, compress_to_fp16=False)
    expected = forward(tf.cast(np.stack(sample), tf.float32)).numpy()
    with one_line_errors(refused):
        features = embed_images(target, sample)
    return float(np.abs(features - expected).max() / (np.abs(expected).max() or 1.0))


@contextmanager
def one_line_errors(message: str) -> Iterator[None]:
    """Turn any exception of a library that makes models into a `BenchError` of one line.

    `message` has the problem and its solution; the library's own is appended in parentheses.
    """
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:_DETAIL]
        raise BenchError(f"{message} ({detail})") from error
