"""The `model=` options that are networks of keras.applications, without their tops."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache as memoised
from importlib.metadata import version
from pathlib import Path
from typing import Any

from outliers_bench.engines.options import Engine
from outliers_bench.engines.protocols import Embedder, check_size
from outliers_bench.errors import BenchError
from outliers_bench.models.applications import build_application, module_of, preprocess
from outliers_bench.models.model import Extractor
from outliers_bench.models.model_uris import is_model_uri, resolve_uri
from outliers_bench.models.pooling import Pooling, replace_pooling
from outliers_bench.models.weight_files import SUFFIXES
from outliers_bench.runtime.option_labels import weights_label
from outliers_bench.types import RGB


@dataclass
class Backbone(Extractor):
    """A network of keras.applications whose pooled last feature map is the embedding.

    Parameters
    ----------
    keras : str
        Class name in keras.applications, such as "VGG16".
    dim : int
        Channels of the last feature map, which is the embedding's length.
    min_image_size : int
        Smallest `image_size` in pixels the network can take.
    weights : str
        `imagenet` (Keras' own download), `random`, or the path of a file of weights.
    pooling : Pooling
        What makes a vector of the feature map.
    gem_p : float
        Exponent of `gem`.
    random_seed : int
        Decides the weights where they are `random`.
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
        """Length of the embedding."""
        return self.dim

    @property
    def variant(self) -> str:
        """The image size, and pooling and weights where they are not the usual ones."""
        pooling = "" if self.pooling is Pooling.avg else self.pooling.value
        if self.pooling is Pooling.gem:
            pooling += f" p={self.gem_p:g}"
        weights = "" if self.weights == "imagenet" else weights_label(self.weights)
        if self.weights == "random":
            weights += f" {self.random_seed}"
        return " ".join(part for part in (super().variant, pooling, weights) if part)

    @property
    def preprocessing(self) -> str:
        """What is done to pixels before the network: the module of keras.applications it is in."""
        return module_of(self.keras)

    def check(self) -> None:
        """Refuse options that cannot work, without importing Keras.

        Raises
        ------
        BenchError
            For an unknown network, too small an image, views that cannot be averaged, a pooling
            that leaves more than `dim` numbers, an exponent that is not positive, or weights that
            are neither `imagenet` nor `random` nor a file with a fitting suffix.
        """
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
                "model.pooling=flatten is for model=transfer and its kind: use avg, max or gem"
            )
        if not (math.isfinite(self.gem_p) and self.gem_p > 0):
            raise BenchError(f"model.gem_p={self.gem_p} must be a number above 0; usual is 3")
        if self.weights not in ("imagenet", "random"):
            check_weight_file(self.weights)

    def space(self) -> dict[str, str | int | float]:
        """Everything the embeddings depend on, but the photos and the engine.

        Raises
        ------
        BenchError
            If the file of weights is not there.
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
        """What tells these weights from others: a file's digest, or where they come from."""
        if self.weights == "imagenet":
            return self.imagenet_identity()
        if self.weights == "random":
            return f"random-{self.random_seed}@{_keras_version()}"
        check_weight_file(self.weights)
        return file_digest(resolve_uri(self.weights))

    def imagenet_identity(self) -> str:
        """What tells the ImageNet weights from others."""
        return f"imagenet@{_keras_version()}"

    def build(self) -> Any:  # noqa: ANN401 - keras.Model, which this module does not import
        """Build the whole network, from pixels to embedding.

        Returns
        -------
        keras.Model
            float32 (batch, image_size, image_size, 3), RGB 0..255, to float32 (batch, dim).

        Raises
        ------
        BenchError
            If the weights cannot be had or do not fit, or `dim` is not what the network gives.
        """
        import keras

        network = replace_pooling(self.bare(), self.pooling, p=self.gem_p)
        if network.output_shape[-1] != self.dim:
            raise BenchError(
                f"model.dim={self.dim}, but {self.keras} gives {network.output_shape[-1]} numbers; "
                f"set model.dim={network.output_shape[-1]}"
            )
        pixels = keras.Input((self.image_size, self.image_size, 3), dtype="float32", name="pixels")
        return keras.Model(pixels, network(self.preprocess(pixels)), name=self.name)

    def bare(self) -> Any:  # noqa: ANN401 - keras.Model
        """Build the bare network, as `network` does, with its weights in it.

        Clears Keras' session, so that it comes before all else that goes into a graph; keeps
        Keras' policy of precision, and sets its random seed for `random` weights.

        Raises
        ------
        BenchError
            If the weights cannot be had or do not fit.
        """
        import keras

        # One process that builds many networks would keep them all. The session has the policy.
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
        """Build the bare network: preprocessed images to the global average of the last map."""
        return build_application(self.keras, self.image_size, pretrained=pretrained)

    def preprocess(self, pixels: Any) -> Any:  # noqa: ANN401 - a Keras tensor
        """Bring RGB 0..255 to what the network was trained on."""
        return preprocess(self.keras, pixels)

    def load(self, network: Any, path: Path) -> None:  # noqa: ANN401 - keras.Model
        """Fill the bare network from a file; `BenchError` if it does not fit in every array."""
        from outliers_bench.models.efficientnet import restore_imagenet_rescaling
        from outliers_bench.models.load_weights import load_weights

        load_weights(network, path, model=self.name)
        if self.preprocessing == "efficientnet":
            restore_imagenet_rescaling(network)

    def embedder(self, engine: Engine, cache: Path, sample: Callable[[], list[RGB]]) -> Embedder:
        """Build the network and bring it to the engine; see `Extractor.embedder`."""
        from outliers_bench.engines.embed import network_embedder

        return network_embedder(self, engine, cache, sample)


def file_digest(path: Path) -> str:
    """BLAKE2b digest of a file's content, 32 hex digits."""
    stat = path.stat()
    return _digest(path.resolve(), stat.st_size, stat.st_mtime_ns)


@memoised
def _digest(path: Path, _size: int, _mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _keras_version() -> str:
    return "keras-" + ".".join(version("keras").split(".")[:2])


def check_weight_file(weights: str) -> None:
    """Raise `BenchError` for a path that is no file of weights, by its name."""
    path = resolve_uri(weights)
    if is_model_uri(weights) and path == Path(weights):
        return  # to be fetched
    if path.is_file():
        if path.suffix not in SUFFIXES:
            raise BenchError(
                f"model.weights={weights}: weights are read from files named *.weights.h5, *.h5 "
                f"or *.keras, not {path.suffix or 'without a suffix'}"
            )
        return
    close = get_close_matches(weights.lower(), ["imagenet", "random"], n=1)
    hint = f"did you mean {close[0]}? Otherwise give" if close else "give imagenet, random or"
    found = "is not a file" if path.exists() else "there is no such file"
    raise BenchError(f"model.weights={weights}: {found}; {hint} the path of a file of weights")
