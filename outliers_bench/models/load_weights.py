"""Loading of a weight file into a network: either every array fits, or none is loaded."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.models.weight_files import StoredLayer, open_weights
from outliers_bench.runtime.units import list_first

# Layers with weights in a classification top: as many as VGG's, plus a normalization or two.
LONGEST_TOP = 6


def load_weights(network: Any, path: Path, *, model: str) -> None:  # noqa: ANN401
    """Load weights saved from the same network, with or without its top, into one without.

    `open_weights` has the formats; `model` is the name of the network in messages.

    Raises
    ------
    BenchError
        If an array is missing or has another shape, or if arrays remain that are not those of a
        classification top. The network is then unchanged.
    """
    with open_weights(path) as file:
        match = _match_by_order if file.ordered else _match_by_name
        matched, remaining = match(network, file.layers)
        problem = next((p for p in map(_find_mismatch, matched) if p), None)
        if problem is None and not _is_top(remaining, width=int(network.output_shape[-1])):
            names = list_first([layer.name for layer in remaining])
            problem = (
                f"layers of the file that are neither in {model} nor a classification top "
                f"({len(remaining)}): {names}"
            )
        if problem is not None:
            raise BenchError(
                f"{path}: these are not the weights of {model}: {problem}. "
                "Choose the weight file of this model, or the model of this weight file"
            )
        for _, variables, stored in matched:
            for variable, array in zip(variables, stored.arrays, strict=True):
                variable.assign(np.asarray(array[()], dtype=variable.dtype))
    for layer in network.layers:
        if hasattr(layer, "finalize_state"):  # Normalization holds a copy of its statistics
            layer.finalize_state()


# A layer's name, its variables, and its arrays in the file.
Match = tuple[str, list[Any], StoredLayer]
EMPTY = StoredLayer("", [])


def _match_by_order(
    network: Any,  # noqa: ANN401
    found: list[StoredLayer],
) -> tuple[list[Match], list[StoredLayer]]:
    layers = [layer for layer in network.layers if layer.weights]
    stored = found + [EMPTY] * (len(layers) - len(found))
    matched = [
        (layer.name, layer.trainable_weights + layer.non_trainable_weights, arrays)
        for layer, arrays in zip(layers, stored, strict=False)
    ]
    return matched, stored[len(layers) :]


def _match_by_name(network: Any, found: list[StoredLayer]) -> tuple[list[Match], list[StoredLayer]]:  # noqa: ANN401
    stored = {layer.name: layer for layer in found}
    matched = [
        (name, variables, stored.pop(name, EMPTY)) for name, variables in _named_layers(network)
    ]
    return matched, list(stored.values())


def _named_layers(network: Any, prefix: str = "") -> Iterator[tuple[str, list[Any]]]:  # noqa: ANN401
    """Yield the layers that have weights of their own, named as in Keras 3 files."""
    seen: Counter[str] = Counter()
    for layer in network.layers:
        kind = _snake_case(type(layer).__name__)
        name = f"{prefix}{kind}_{seen[kind]}" if seen[kind] else prefix + kind
        seen[kind] += 1
        own: dict[str, Any] = {}
        layer.save_own_variables(own)
        if own:
            yield name, list(own.values())
        if hasattr(layer, "layers"):
            yield from _named_layers(layer, prefix=f"{name}/layers/")


def _snake_case(name: str) -> str:
    name = re.sub(r"(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub(r"([a-z])([A-Z])", r"\1_\2", name).lower()


def _find_mismatch(match: Match) -> str | None:
    name, variables, stored = match
    expected = [tuple(variable.shape) for variable in variables]
    if not stored.arrays:
        return f"the file has no arrays for the layer {name}"
    if stored.shapes != expected:
        return f"the layer {name} has {stored.shapes} in the file and {expected} in the model"
    for variable, array in zip(variables, stored.arrays, strict=True):
        kinds = "f" if "float" in str(variable.dtype) else "fiu"
        if array.dtype.kind not in kinds:
            return f"the layer {name} has {array.dtype} instead of {variable.dtype}"
    return None


def _is_top(layers: list[StoredLayer], *, width: int) -> bool:
    """Check whether layers are a chain of dense layers or 1x1 convolutions starting at `width`."""
    if len(layers) > LONGEST_TOP:
        return False
    reached = {width}
    while layers:
        continuing = [layer for layer in layers if _continues(layer, reached, width=width)]
        if not continuing:
            return False
        reached |= {layer.shapes[0][-1] for layer in continuing}
        layers = [layer for layer in layers if layer not in continuing]
    return True


def _continues(layer: StoredLayer, reached: set[int], *, width: int) -> bool:
    kernel, *rest = layer.shapes
    if len(kernel) == 1:  # a normalization
        return kernel[0] in reached and set(rest) <= {kernel}
    if kernel[:-2] not in ((), (1, 1)) or rest not in ([], [kernel[-1:]]):
        return False
    # A multiple of the width means that the feature map was flattened instead of averaged.
    return kernel[-2] in reached or kernel[-2] % width == 0
