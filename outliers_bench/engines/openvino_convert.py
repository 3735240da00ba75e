"""From a Keras network to an OpenVINO model: converted once, checked, kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from outliers_bench.engines.model_cache import model_path, store_model
from outliers_bench.engines.openvino_run import OpenVinoRunner, compile_model, import_openvino
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.store.features import Space
from outliers_bench.types import RGB

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network

# Float32 engines differ by the order of their sums; what is wrongly converted differs by far more.
TOLERANCE = 1e-3
FALLBACK_OPTIONS = "engine=keras engine.precision=f32"
DIFFERENCE = "max_relative_difference"
_DETAIL = 300  # characters of a library's message


def convert_or_load(backbone: Network, cache: Path, sample: Callable[[], list[RGB]]) -> Path:
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
        If the weights cannot be had, or the conversion fails or disagrees with Keras.
    """
    space = space_of(backbone)
    model = model_path(space, cache)
    if model.exists():
        return model

    def make(target: Path) -> dict[str, Any]:
        import_tensorflow()
        difference = _convert(backbone.build(), backbone, target, sample())
        if not difference <= TOLERANCE:
            raise BenchError(
                f"model={backbone.name}: OpenVINO's features differ from Keras' by "
                f"{difference:.1e} relative; use {FALLBACK_OPTIONS}, and please report it"
            )
        return {DIFFERENCE: difference, **space}

    store_model(model, make)
    return model


def space_of(backbone: Network) -> Space:
    """Everything that a converted model depends on."""
    return {**backbone.space(), "openvino": version("openvino")}


def read_graph(forward: Any) -> Any:  # noqa: ANN401 - untyped
    """Read a TensorFlow function as an OpenVINO model.

    `openvino.convert_model` takes the same steps, but checks its surroundings before in a way that
    Python 3.13 does not allow (a NameError in OpenVINO 2026.4).

    Parameters
    ----------
    forward : tensorflow.types.experimental.ConcreteFunction
        Its variables must outlive the model, which shares their memory.

    Returns
    -------
    openvino.Model
        Inputs and outputs as those of the function.
    """
    import_openvino()
    from openvino._offline_transformations import apply_moc_transformations
    from openvino.frontend import FrontEndManager
    from openvino.frontend.tensorflow.graph_iterator import GraphIteratorTFGraph

    frontend = FrontEndManager().load_by_framework("tf")
    # In a name of its own: OpenVINO reads it in `convert`, and does not keep it alive.
    graph = GraphIteratorTFGraph(forward.graph, share_weights=True)
    model = frontend.convert(frontend.load(graph))
    apply_moc_transformations(model, cf=False, smart_reshape=True)
    return model


def _convert(network: Any, backbone: Network, target: Path, sample: list[RGB]) -> float:  # noqa: ANN401
    """Write the converted network and return its largest difference from Keras, relative."""
    ov = import_openvino()
    tf = import_tensorflow()
    from openvino.preprocess import PrePostProcessor

    size = backbone.image_size
    signature = [tf.TensorSpec((None, size, size, 3), tf.float32)]
    forward = tf.function(lambda x: network(x, training=False), input_signature=signature)
    function = forward.get_concrete_function()
    refused = f"model={backbone.name}: OpenVINO {version('openvino')} cannot convert it; use {FALLBACK_OPTIONS}"
    with one_line_errors(refused):
        whole = read_graph(function)
        # What a nested network gives beside is a result of its own; the check below is of the
        # first.
        graph = PrePostProcessor(ov.Model(whole.outputs[:1], whole.get_parameters()))
        graph.input().tensor().set_element_type(ov.Type.u8)
        graph.input().preprocess().convert_element_type(ov.Type.f32)
        model = graph.build()
    ov.save_model(model, target, compress_to_fp16=False)
    expected = forward(tf.cast(np.stack(sample), tf.float32)).numpy()
    with one_line_errors(refused):
        runner = OpenVinoRunner(compile_model(target, 1))
        found = dict(runner((bytes([row]), image) for row, image in enumerate(sample)))
    features = np.stack([found[bytes([row])] for row in range(len(sample))])
    return float(np.abs(features - expected).max() / (np.abs(expected).max() or 1.0))


@contextmanager
def one_line_errors(message: str) -> Iterator[None]:
    """Raise `BenchError` for whatever goes wrong in a library that makes models.

    Parameters
    ----------
    message : str
        What cannot be done, and what to do instead; the library's own words follow in brackets.
    """
    try:
        yield
    except BenchError:
        raise
    except Exception as error:
        detail = " ".join(f"{type(error).__name__}: {error}".split())[:_DETAIL]
        raise BenchError(f"{message} ({detail})") from error
