"""A body and a head put together: the network that is trained, and the one that is kept."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from outliers_bench.training.base import Layer, Trained
from outliers_bench.training.losses import Cosines, as_kernel
from outliers_bench.training.models import CnnScratch, Transfer
from outliers_bench.training.networks import Body, cnn_scratch, set_trainable, transfer
from outliers_bench.training.options import Loss

HIDDEN, SCORES, BACKBONE = "hidden", "scores", "backbone"  # names of layers


@dataclass(frozen=True)
class Kept:
    """The network that is kept: float32, without augmentation, down to probabilities.

    Parameters
    ----------
    network : keras.Model
        Pixels 0..255, shape (batch, side, side, 3), to probabilities, shape (batch, classes).
    head : keras.Model
        What the head sees, shape (batch, d), to the `penultimate` and `logits` of it.
    outputs : dict of Layer to Keras tensor
        What can be the embedding, computed from the pixels.
    """

    network: Any
    head: Any
    outputs: dict[Layer, Any]


def trainer_of(option: Trained, classes: int, *, width: int | None = None) -> Any:  # noqa: ANN401 - keras.Model
    """Build the network that is trained.

    Parameters
    ----------
    option : Trained
        Which network, with which loss.
    classes : int
        How many classes there are.
    width : int or None
        Length of the vectors of a frozen body, which are then its input; None: pixels are.

    Returns
    -------
    keras.Model
        To logits, or to cosines under ArcFace; float32, shape (batch, classes). A frozen backbone
        runs in inference mode, batch normalization and all.
    """
    import keras

    network = None if width is not None else backbone_of(option, pretrained=True)
    keras.utils.set_random_seed(option.random_seed)
    if width is not None:
        inputs = vector = keras.Input((width,), dtype="float32", name="features")
    else:
        side = option.image_size
        inputs = pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
        for layer in option.augment.layers(option.random_seed):
            pixels = layer(pixels)
        vector = _body(option, pixels, network).vector
    _, scores = _through(_head_layers(option, classes, training=True), vector, option)
    return keras.Model(inputs, scores, name=_name(option))


def kept_of(option: Trained, classes: int) -> Kept:
    """Build the network that is kept, to be filled; see `Kept`.

    Parameters
    ----------
    option : Trained
        Which network.
    classes : int
        How many classes there are.
    """
    import keras

    keras.utils.clear_session()  # layers without names of their own are numbered anew
    network = backbone_of(option, pretrained=False)
    side = option.image_size
    pixels = keras.Input((side, side, 3), dtype="float32", name="pixels")
    body = _body(option, pixels, network)
    layers = _head_layers(option, classes, training=False)
    vector = keras.Input((body.vector.shape[-1],), dtype="float32", name="features")
    softmax = keras.layers.Softmax(name="probabilities")
    penultimate, logits = _through(layers, body.vector, option)
    return Kept(
        network=keras.Model(pixels, softmax(logits), name=_name(option)),
        head=keras.Model(vector, _through(layers, vector, option), name="head"),
        outputs={
            Layer.penultimate: penultimate,
            Layer.logits: logits,
            Layer.backbone: body.pooled,
        },
    )


def fill(kept: Kept, trainer: Any, option: Trained, frozen: Any = None) -> None:  # noqa: ANN401
    """Give the network that is kept the weights of the one that was trained.

    Parameters
    ----------
    kept : Kept
        From `kept_of`.
    trainer : keras.Model
        From `trainer_of`, trained.
    option : Trained
        Which network.
    frozen : keras.Model or None
        The backbone with its weights, where `trainer` has none in it.
    """
    for layer in kept.network.layers:
        if layer.name == SCORES and option.loss is Loss.arcface:
            layer.set_weights([as_kernel(trainer.get_layer(SCORES), option.scale)])
        elif layer.name == BACKBONE:
            _copy(layer, frozen or trainer.get_layer(BACKBONE))
        elif layer.weights:
            layer.set_weights(trainer.get_layer(layer.name).get_weights())
    if isinstance(option, Transfer) and option.base.preprocessing == "efficientnet":
        from outliers_bench.models.efficientnet import restore_imagenet_rescaling

        restore_imagenet_rescaling(kept.network.get_layer(BACKBONE))


def _through(layers: list[Any], vector: Any, option: Trained) -> list[Any]:  # noqa: ANN401
    """What the classifying layer sees, and what it makes of it."""
    seen = [vector]
    for layer in layers:
        seen.append(layer(seen[-1]))
    return [seen[1 if _hidden(option) else 0], seen[-1]]


def _hidden(option: Trained) -> int | None:
    """Units of the hidden layer, if there is one."""
    return option.hidden if isinstance(option, Transfer) else None


def backbone_of(option: Trained, *, pretrained: bool) -> Any:  # noqa: ANN401 - keras.Model
    """The backbone as it is trained; made before all else, as it restarts Keras' numbering."""
    if not isinstance(option, Transfer):
        return None
    base = option.base
    network = base.bare() if pretrained else base.network(pretrained=False)
    set_trainable(network, option.trainable, option.trainable_layers, keras_name=base.keras)
    return network


def _body(option: Trained, pixels: Any, network: Any) -> Body:  # noqa: ANN401
    if isinstance(option, CnnScratch):
        return cnn_scratch(pixels)
    if not isinstance(option, Transfer):
        raise TypeError(f"{type(option).__name__} has no body")
    return transfer(pixels, network, option.base, name=BACKBONE)


def _head_layers(option: Trained, classes: int, *, training: bool) -> list[Any]:
    """The layers after the body; first weights depend on the seed alone, not on what is before."""
    import keras

    layers: list[Any] = []
    first = keras.initializers.GlorotUniform(seed=option.random_seed)
    second = keras.initializers.GlorotUniform(seed=(option.random_seed + 1) % 2**32)
    if hidden := _hidden(option):
        layers.append(
            keras.layers.Dense(hidden, activation="relu", kernel_initializer=first, name=HIDDEN)
        )
    if option.loss is Loss.cross_entropy:
        scores = keras.layers.Dense(
            classes, dtype="float32", kernel_initializer=second, name=SCORES
        )
        return [*layers, scores]
    if training:
        return [*layers, Cosines(classes, initializer=second, name=SCORES)]
    unit = keras.layers.UnitNormalization(name="unit")
    return [*layers, unit, keras.layers.Dense(classes, use_bias=False, name=SCORES)]


def _copy(target: Any, source: Any) -> None:  # noqa: ANN401 - keras.Model
    """Copy weights between two builds of a backbone, of which one may have layers without any."""
    for layer in target.layers:
        if layer.weights:
            layer.set_weights(source.get_layer(layer.name).get_weights())
        if hasattr(layer, "finalize_state"):  # Normalization keeps a copy of its statistics
            layer.finalize_state()


def _name(option: Trained) -> str:
    """A name that Keras takes."""
    return re.sub(r"[^A-Za-z0-9_.-]", "_", f"trained_{option.name}")
