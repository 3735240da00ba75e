"""Keras on TensorFlow: the engine for GPUs, and the reference for others on a CPU."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from outliers_bench.engines.batch_size import TunedEmbedder
from outliers_bench.engines.batch_size_cache import BatchSizeCache, machine_label
from outliers_bench.engines.batches import batches
from outliers_bench.engines.gpu import detect_gpu, system_digest
from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Key, Precision
from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.store.features import file_stem
from outliers_bench.types import RGB, FloatArray

if TYPE_CHECKING:
    from outliers_bench.engines.protocols import Network

_REFERENCE_SIDE = 224  # pixels; the image size that the two batch sizes below are meant for
_ON_CPU, _ON_GPU = 32, 128


def default_batch_size(size: int, *, on_gpu: bool) -> int:
    """Return the batch size that `engine.batch_size=auto` starts from, given the image size.

    A batch has at most as many pixels as one of images of 224 pixels. On a GPU, memory is the
    limit; on a CPU, the batch size makes little difference beyond a few images.

    Examples
    --------
    >>> default_batch_size(224, on_gpu=False), default_batch_size(224, on_gpu=True)
    (32, 128)
    >>> default_batch_size(32, on_gpu=False), default_batch_size(4096, on_gpu=True)
    (32, 1)
    """
    largest = _ON_GPU if on_gpu else _ON_CPU
    fitting = largest * _REFERENCE_SIDE**2 // size**2
    # A power of two, which suits all kernels.
    return max(1, min(largest, 1 << fitting.bit_length() - 1 if fitting else 1))


def keras_embedder(backbone: Network, engine: Engine, cache: Path) -> TunedEmbedder[_Runner]:
    """Build a network for Keras itself.

    Parameters
    ----------
    backbone : Network
    engine : Engine
        Resolved, except that the batch size may be `auto`. bf16 is Keras' mixed bfloat16: products
        in bfloat16, sums and weights in float32.
    cache : Path
        Cache directory of GPU detection and batch size measurements.
    """
    import_tensorflow()
    on_gpu, size = detect_gpu(cache).found, backbone.image_size
    forward = _forward(_build(backbone, engine.precision), fused=on_gpu)
    name = f"batch-{file_stem(backbone.space())}.json"
    device = f"GPU {system_digest()}" if on_gpu else machine_label()
    here = f"{device} | keras {version('keras')} | {engine.precision.value}"
    first = default_batch_size(size, on_gpu=on_gpu)
    return TunedEmbedder(
        lambda batch: _Runner(forward, batch),
        size,
        BatchSizeCache(cache / "machine" / name, here),
        batch_size=engine.batch_size,
        candidates=[batch for batch in (first // 4, first // 2, first, 2 * first) if batch],
        first=first,
    )


class _Runner:
    """Runner that stacks the next batch while a GPU computes the previous one."""

    def __init__(self, forward: Callable[[Any], Any], batch: int) -> None:
        self.batch = batch
        self._forward = forward

    def __len__(self) -> int:
        return 2

    def __call__(self, images: Iterable[tuple[Key, RGB]]) -> Iterator[tuple[Key, FloatArray]]:
        previous: tuple[list[Key], Any] | None = None
        for keys, stack in batches(images, self.batch):
            current = keys, self._attempt(partial(self._forward, stack))
            if previous is not None:
                yield from self._fetch(*previous)
            previous = current
        if previous is not None:
            yield from self._fetch(*previous)

    def _fetch(self, keys: list[Key], vectors: Any) -> Iterator[tuple[Key, FloatArray]]:  # noqa: ANN401
        # On a GPU, this call blocks until the batch is computed.
        return zip(keys, self._attempt(vectors.numpy), strict=False)

    def _attempt(self, work: Callable[[], Any]) -> Any:  # noqa: ANN401 - tensorflow is untyped
        errors = import_tensorflow().errors
        try:
            return work()
        except (errors.ResourceExhaustedError, errors.InternalError) as error:
            # XLA reports its own failed allocations as internal errors.
            message = str(error).lower()
            out_of_memory = "resource_exhausted" in message or "out of memory" in message
            if not (out_of_memory or isinstance(error, errors.ResourceExhaustedError)):
                raise
            raise BenchError(
                f"engine.batch_size={self.batch}: too many images for the memory; use a smaller "
                "batch size"
            ) from error


def _forward(network: Any, *, fused: bool) -> Any:  # noqa: ANN401 - tensorflow is untyped
    tf = import_tensorflow()
    # XLA fuses the operations between convolutions, which take much of the time on a GPU. On a
    # CPU, depthwise convolutions take ten times as long with it.
    return tf.function(
        lambda pixels: tf.cast(network(tf.cast(pixels, tf.float32), training=False), tf.float32),
        jit_compile=fused,
    )


def _build(backbone: Network, precision: Precision) -> Any:  # noqa: ANN401 - keras.Model
    import keras

    previous = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if precision is Precision.bf16 else "float32")
    try:
        return backbone.build()
    finally:
        keras.config.set_dtype_policy(previous)
