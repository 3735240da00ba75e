"""Which layers of a backbone are trained when nobody names them: its last block."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

MIN_KERNELS = 4
MAX_SHARE = 1 / 3
# What the original experiments trained, without the one they named twice. What they trained of
# VGG16 is what the rule gives.
ORIGINAL = {"ResNet50": ["conv5_block3_3_conv", "conv5_block3_1_conv", "conv5_block2_3_conv"]}


def last_layers(network: Any, keras_name: str) -> list[str]:  # noqa: ANN401 - keras.Model
    """Name the layers that `trainable=last_layers` stands for.

    The smallest tail of the network that begins where a single tensor carries everything, as
    between two residual blocks, and that has at least four convolution or dense kernels. A
    separable convolution has two; the kernels of a squeeze-and-excite gate are not counted. Where
    such a tail has more than a third of all kernels, it may begin where two tensors do: a cell of
    NASNet sees the two cells before it. ResNet50 has the layers of the original experiments
    instead.

    Parameters
    ----------
    network : keras.Model
        A bare backbone; see `Backbone.bare`. Its layers are not yet used in another model.
    keras_name : str
        What the backbone is called in keras.applications.

    Returns
    -------
    list of str
        From the last one to the first: the layers of the tail with something to train, without
        batch normalization.
    """
    import keras

    if keras_name in ORIGINAL:
        return list(ORIGINAL[keras_name])
    operations, inputs = _topological_order(network)
    kernels = _count_kernels(operations, inputs)
    starts = [
        next((at for at in _cut_points(inputs, width) if sum(kernels[at:]) >= MIN_KERNELS), 0)
        for width in (1, 2)
    ]
    few_enough = [at for at in starts if sum(kernels[at:]) <= MAX_SHARE * sum(kernels)]
    return [
        operation.name
        for operation in reversed(operations[(few_enough or starts)[0] :])
        if getattr(operation, "weights", [])
        and not isinstance(operation, keras.layers.BatchNormalization)
    ]


def _topological_order(network: Any) -> tuple[list[Any], list[list[int]]]:  # noqa: ANN401 - keras.Model
    """Operations, each after what it needs, and the places of what each of them needs.

    Depth first, so that cells that see the two before them are not mixed; Keras' own order has
    all operations of one depth together.
    """
    import keras

    made_by = {
        id(tensor): operation
        for operation in network.operations
        for tensor in keras.tree.flatten(operation.output)
    }
    needs = {
        operation: []
        if isinstance(operation, keras.layers.InputLayer)
        else [made_by[id(tensor)] for tensor in keras.tree.flatten(operation.input)]
        for operation in network.operations
    }
    place: dict[Any, int] = {}
    waiting = [made_by[id(network.output)]]
    while waiting:
        missing = next((need for need in needs[waiting[-1]] if need not in place), None)
        if missing is None:
            place[waiting.pop()] = len(place)
        else:
            waiting.append(missing)
    return list(place), [[place[need] for need in needs[operation]] for operation in place]


def _cut_points(inputs: list[list[int]], width: int) -> Iterator[int]:
    """Where a tail can begin, from the end on: at most `width` tensors go into it.

    What every path goes through has all else before or after it, whatever the order, so that no
    place where one tensor carries everything is missed.
    """
    last_use = list(range(len(inputs)))
    for at, needs in enumerate(inputs):
        for need in needs:
            last_use[need] = at
    for start in range(len(inputs) - 1, 0, -1):
        if sum(used >= start for used in last_use[:start]) <= width:
            yield start


def _count_kernels(operations: list[Any], inputs: list[list[int]]) -> list[int]:
    """How many convolution and dense kernels each operation has, other than those of gates.

    A gate computes from averages over all positions how much of each channel goes on.
    """
    import keras

    averages: list[bool] = []
    kernels = []
    for operation, needs in zip(operations, inputs, strict=True):
        of_averages = bool(needs) and all(averages[need] for need in needs)
        averages.append(of_averages or isinstance(operation, keras.layers.GlobalAveragePooling2D))
        arrays = [] if of_averages else getattr(operation, "weights", [])
        kernels.append(sum(len(array.shape) > 1 for array in arrays))
    return kernels
