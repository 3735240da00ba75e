"""Backbones: the `model=` options that are networks of keras.applications without a top."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import get_close_matches
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outliers_bench.data.image_files import absolute_path
from outliers_bench.engines.protocols import check_size
from outliers_bench.errors import BenchError
from outliers_bench.models.applications import (
    build_application,
    module_of,
    preprocess,
    restore_imagenet_rescaling,
)
from outliers_bench.models.model import Compose, Extractor
from outliers_bench.models.model_uris import is_model_uri, resolve_uri
from outliers_bench.models.pooling import Pooling, replace_pooling
from outliers_bench.models.weight_files import SUFFIXES
from outliers_bench.models.weights_folder import imagenet_file
from outliers_bench.runtime.option_labels import weights_label
from outliers_bench.store.seal import network_digest


@dataclass
class Backbone(Extractor):
    """Network of keras.applications whose pooled last feature map is the embedding.

    Parameters
    ----------
    keras : str
        Class name in keras.applications, such as "VGG16".
    dim : int
        Channels of the last feature map, which is the length of the embedding.
    min_image_size : int
        Smallest `image_size` in pixels that the network accepts.
    weights : str
        `imagenet` (Keras' own download), `random`, or the path of a weight file.
    pooling : Pooling
        Pooling of the last feature map.
    gem_p : float
        Exponent of `gem`.
    random_seed : int
        Seed of `random` weights.
    """

    keras: str
    dim: int
    min_image_size: int = 32
    weights: str = "imagenet"
    pooling: Pooling = Pooling.avg
    gem_p: float = 3.0
    random_seed: int = 0

    @property
    def dimensions(self) -> int:
        """Length of the embedding; 0 with `flatten`, whose length is unknown before building."""
        return 0 if self.pooling is Pooling.flatten else self.dim

    @property
    def family(self) -> str:
        """`pretrained`; `baseline` with random weights."""
        return "baseline" if self.weights == "random" else "pretrained"

    @property
    def variant(self) -> str:
        """Image size, and non-default pooling and weights."""
        pooling = "" if self.pooling is Pooling.avg else self.pooling.value
        if self.pooling is Pooling.gem:
            pooling += f" p={self.gem_p:g}"
        weights = "" if self.weights == "imagenet" else weights_label(self.weights)
        if self.weights == "random":
            weights += f" {self.random_seed}"
        return " ".join(part for part in (super().variant, pooling, weights) if part)

    @property
    def preprocessing(self) -> str:
        """Preprocessing of the pixels, named by its module of keras.applications."""
        return module_of(self.keras)

    def resolve(self, compose: Compose, weights_dir: str | None) -> None:  # noqa: ARG002
        """Replace `weights=imagenet` by the file in `weights_dir`, if it is there."""
        self.weights = self.find_weights(self.weights, weights_dir)

    def find_weights(self, weights: str, weights_dir: str | None) -> str:
        """Return this network's file of ImageNet weights in a folder, or `weights` without one."""
        if weights != "imagenet" or weights_dir is None:
            return weights
        file = imagenet_file(
            absolute_path(weights_dir, "weights_dir"), self.keras, image_size=self.image_size
        )
        return weights if file is None else str(file)

    def check(self) -> None:
        """Raise `BenchError` for an invalid option, without importing Keras."""
        _ = self.preprocessing
        if self.image_size < self.min_image_size:
            raise BenchError(
                f"model.image_size={self.image_size} is too small for {self.name}, "
                f"which needs {self.min_image_size} or more"
            )
        check_size(self.image_size)
        self.check_tta(self.min_image_size)
        if not 0 <= self.random_seed < 2**32:
            raise BenchError(f"model.random_seed={self.random_seed}: from 0 to {2**32 - 1}")
        if self.pooling is Pooling.flatten:
            raise BenchError(
                "model.pooling=flatten is for models with a trained head, such as model=transfer; "
                "use avg, max or gem"
            )
        if not (math.isfinite(self.gem_p) and self.gem_p > 0):
            raise BenchError(f"model.gem_p={self.gem_p} must be a positive number, usually 3")
        if self.weights not in ("imagenet", "random"):
            check_weight_file(self.weights)

    def space(self) -> dict[str, str | int | float]:
        """Return everything the embeddings depend on, except for the photos and the engine.

        Raises
        ------
        BenchError
            If the weight file does not exist.
        """
        space: dict[str, str | int | float] = {
            "architecture": self.keras,
            "preprocessing": self.preprocessing,
            "image_size": self.image_size,
            "pooling": self.pooling.value,
            "weights": self.weights_identity(),
        }
        return space | ({"gem_p": self.gem_p} if self.pooling is Pooling.gem else {})

    def weights_identity(self) -> str:
        """Return an identifier of the weights: a file's digest, or their origin."""
        if self.weights == "imagenet":
            return self.imagenet_identity()
        if self.weights == "random":
            return f"random-{self.random_seed}@{_keras_version()}"
        check_weight_file(self.weights)
        return network_digest(resolve_uri(self.weights))

    def imagenet_identity(self) -> str:
        """Return an identifier of the ImageNet weights."""
        return f"imagenet@{_keras_version()}"

    def build(self) -> Any:  # noqa: ANN401 - keras.Model, which this module does not import
        """Build the whole network, from pixels to embedding.

        Returns
        -------
        keras.Model
            Maps float32 (batch, image_size, image_size, 3), RGB 0..255, to float32 (batch, dim).

        Raises
        ------
        BenchError
            If the weights are unavailable or do not fit, or `dim` is not the network's output size.
        """
        import keras

        network = replace_pooling(self.bare(), self.pooling, p=self.gem_p)
        if self.dimensions not in (0, network.output_shape[-1]):
            raise BenchError(
                f"model.dim={self.dim}, but {self.keras} has {network.output_shape[-1]} outputs; "
                f"set model.dim={network.output_shape[-1]}"
            )
        pixels = keras.Input((self.image_size, self.image_size, 3), dtype="float32", name="pixels")
        return keras.Model(pixels, network(self.preprocess(pixels)), name=self.name)

    def bare(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build the bare network, as `network` does, and load its weights.

        Clears Keras' session, so call it before building anything else. Preserves Keras' dtype
        policy, and sets its random seed for `random` weights.

        Raises
        ------
        BenchError
            If the weights are unavailable or do not fit.
        """
        import keras

        # Without this, a process that builds many networks holds them all in memory. The dtype
        # policy is part of the session.
        policy = keras.config.dtype_policy()
        keras.utils.clear_session()
        keras.config.set_dtype_policy(policy)
        if self.weights == "random":
            keras.utils.set_random_seed(self.random_seed)
        network = self.network(pretrained=self.weights == "imagenet")
        if self.weights not in ("imagenet", "random"):
            self.load(network, resolve_uri(self.weights))
        return network

    def network(self, *, pretrained: bool) -> Any:  # noqa: ANN401 - keras.Model
        """Build the bare network: preprocessed images to the globally averaged last feature map."""
        return build_application(self.keras, self.image_size, pretrained=pretrained)

    def preprocess(self, pixels: Any) -> Any:  # noqa: ANN401 - a Keras tensor
        """Preprocess RGB 0..255 as the network was trained."""
        return preprocess(self.keras, pixels)

    def load(self, network: Any, path: Path) -> None:  # noqa: ANN401 - keras.Model
        """Load the bare network's weights from a file; raise `BenchError` if any does not fit."""
        from outliers_bench.models.load_weights import load_weights

        load_weights(network, path, model=self.name)
        self.restore_rescaling(network)

    def restore_rescaling(self, network: Any) -> None:  # noqa: ANN401 - keras.Model
        """Restore the preprocessing in a network whose weights are not Keras' own download."""
        if self.preprocessing == "efficientnet":
            restore_imagenet_rescaling(network)


def _keras_version() -> str:
    return "keras-" + ".".join(version("keras").split(".")[:2])


def check_weight_file(weights: str) -> None:
    """Raise `BenchError` if a path does not name a weight file."""
    path = resolve_uri(weights)
    if is_model_uri(weights) and path == Path(weights):
        return  # downloaded later
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise BenchError(
                f"model.weights={weights}: weight files are named *.weights.h5, *.h5 or *.keras, "
                f"not {path.suffix or 'without a suffix'}"
            )
        return
    close = get_close_matches(weights.lower(), ["imagenet", "random"], n=1)
    hint = f"did you mean {close[0]}? Otherwise give" if close else "give imagenet, random or"
    problem = "is not a file" if path.exists() else "there is no such file"
    raise BenchError(f"model.weights={weights}: {problem}; {hint} the path of a weight file")
