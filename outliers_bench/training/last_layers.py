"""Default layers of `trainable=last_layers`: the last block of a backbone."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MIN_KERNELS = 4
MAX_SHARE = 1 / 3
# The layers that the original experiments trained, without the one they listed twice. For VGG16
# the rule yields the layers of the original.
ORIGINAL = {"ResNet50": ["conv5_block3_3_conv", "conv5_block3_1_conv", "conv5_block2_3_conv"]}


def last_layers(network: Any, keras_name: str) -> list[str]:  # noqa: ANN401 - keras.Model
    """Return the names of the layers that `trainable=last_layers` trains by default.

    They are those of the smallest tail of the network that has a single input tensor, as between
    two residual blocks, and at least four convolution or dense kernels. A separable convolution
    has two kernels; those of a squeeze-and-excite gate are not counted. If the tail has more than
    a third of all kernels, it may have two input tensors: a cell of NASNet takes the outputs of
    the two previous cells. ResNet50 has the layers of the original experiments instead.

    Parameters
    ----------
    network : keras.Model
        A bare backbone; see `Backbone.bare`. Its layers must not be part of another model yet.
    keras_name : str
        Name of the backbone in keras.applications.

    Returns
    -------
    list of str
        The layers of the tail that have weights, from last to first, without batch normalization.
    """
    import keras

    if keras_name in ORIGINAL:
        return list(ORIGINAL[keras_name])
    operations, inputs = _topological_order(network)
    kernels = _count_kernels(operations, inputs)
    starts = [
        next((start for start in _cut_points(inputs, n) if sum(kernels[start:]) >= MIN_KERNELS), 0)
        for n in (1, 2)
    ]
    small_enough = [start for start in starts if sum(kernels[start:]) <= MAX_SHARE * sum(kernels)]
    return [
        operation.name
        for operation in reversed(operations[(small_enough or starts)[0] :])
        if getattr(operation, "weights", [])
        and not isinstance(operation, keras.layers.BatchNormalization)
    ]


def _topological_order(network: Any) -> tuple[list[Any], list[list[int]]]:  # noqa: ANN401 - keras.Model
    """Return the operations in topological order, and the positions of the inputs of each.

    The order is depth first, which separates NASNet's cells; Keras orders operations by depth,
    which interleaves them.
    """
    import keras

    producers = {
        id(tensor): operation
        for operation in network.operations
        for tensor in keras.tree.flatten(operation.output)
    }
    inputs = {
        operation: []
        if isinstance(operation, keras.layers.InputLayer)
        else [producers[id(tensor)] for tensor in keras.tree.flatten(operation.input)]
        for operation in network.operations
    }
    positions: dict[Any, int] = {}
    stack = [producers[id(network.output)]]
    while stack:
        missing = next((each for each in inputs[stack[-1]] if each not in positions), None)
        if missing is None:
            positions[stack.pop()] = len(positions)
        else:
            stack.append(missing)
    return list(positions), [
        [positions[each] for each in inputs[operation]] for operation in positions
    ]


def _cut_points(inputs: list[list[int]], max_tensors: int) -> Iterator[int]:
    """Yield the positions, from the last, where a tail with at most `max_tensors` inputs begins.

    In any topological order, an operation on every path separates the others into those before
    and those after it, so no cut through a single tensor is missed.
    """
    last_use = list(range(len(inputs)))
    for position, sources in enumerate(inputs):
        for source in sources:
            last_use[source] = position
    for start in range(len(inputs) - 1, 0, -1):
        if sum(used >= start for used in last_use[:start]) <= max_tensors:
            yield start


def _count_kernels(operations: list[Any], inputs: list[list[int]]) -> list[int]:
    """Count the convolution and dense kernels of each operation, except those of gates.

    A squeeze-and-excite gate scales channels by factors computed from global averages.
    """
    import keras

    is_pooled: list[bool] = []  # computed from global averages only
    kernels = []
    for operation, sources in zip(operations, inputs, strict=True):
        in_gate = bool(sources) and all(is_pooled[source] for source in sources)
        is_pooled.append(in_gate or isinstance(operation, keras.layers.GlobalAveragePooling2D))
        weights = [] if in_gate else getattr(operation, "weights", [])
        kernels.append(sum(len(weight.shape) > 1 for weight in weights))
    return kernels
