"""Keras on TensorFlow: the GPU's engine, and on a CPU the one that others are checked against."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.features.batches import batches
from outliers_bench.features.engine import Engine, Precision
from outliers_bench.features.extractor import Key
from outliers_bench.features.gpu import gpu
from outliers_bench.features.tensorflow import import_tensorflow
from outliers_bench.types import RGB, FloatArray

if TYPE_CHECKING:
    from outliers_bench.features.inference import Network

_USUAL = 224  # pixels of side, for which the batch sizes are meant
_ON_CPU, _ON_GPU = 32, 128


def batch_of(size: int, *, on_gpu: bool) -> int:
    """What `engine.batch_size=auto` is for Keras: as many pixels as a usual batch has.

    A rule and no measurement: on a GPU what fits into its memory is what limits, and on a CPU the
    size makes no difference beyond a few images.

    Examples
    --------
    >>> batch_of(224, on_gpu=False), batch_of(224, on_gpu=True), batch_of(4096, on_gpu=True)
    (32, 128, 1)
    >>> batch_of(32, on_gpu=False)
    32
    """
    most = _ON_GPU if on_gpu else _ON_CPU
    fitting = most * _USUAL**2 // size**2
    # A power of two, which suits all kernels.
    return max(1, min(most, 1 << fitting.bit_length() - 1 if fitting else 1))


class KerasEmbedder:
    """Embeds with the Keras network itself.

    Parameters
    ----------
    backbone : Network
    engine : Engine
        With nothing left to `auto` but the batch size. bf16 is Keras' mixed bfloat16: products in
        bfloat16, sums and weights in float32.
    cache : Path
        Where it is kept whether there is a GPU.

    Attributes
    ----------
    facts : dict of str to float
        Batch size.
    """

    def __init__(self, backbone: Network, engine: Engine, cache: Path) -> None:
        tf = import_tensorflow()
        on_gpu = gpu(cache).found
        automatic = engine.batch_size == "auto"
        size = backbone.image_size
        self._batch = batch_of(size, on_gpu=on_gpu) if automatic else int(engine.batch_size)
        network = _built(backbone, engine.precision)
        # XLA fuses what lies between convolutions, which on a GPU is much of the time; on a CPU
        # depthwise convolutions take ten times as long with it.
        self._forward = tf.function(
            lambda pixels: tf.cast(
                network(tf.cast(pixels, tf.float32), training=False), tf.float32
            ),
            jit_compile=on_gpu,
        )
        self.facts: dict[str, float] = {"batch_size": self._batch}

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        """Embed images; see `Embedder`."""
        for keys, stack in batches(images, self._batch):
            yield from zip(keys, self._forward(stack).numpy(), strict=False)


def _built(backbone: Network, precision: Precision) -> Any:  # noqa: ANN401 - keras.Model
    import keras

    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision is Precision.bf16 else "float32")
    try:
        return backbone.build()
    finally:
        keras.config.set_dtype_policy(before)
