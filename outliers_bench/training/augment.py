"""The `augment=` options: how images are changed at random in training, and only there."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import name_and_unusual


@dataclass
class Augment:
    """Base of the `augment=` options; by itself, as `none`, images stay as they are.

    Parameters
    ----------
    name : str
        What it is called in tables.
    """

    name: str = "none"

    @property
    def active(self) -> bool:
        """Whether anything is changed."""
        return False

    @property
    def label(self) -> str:
        """What stands in tables: name and unusual options; empty where nothing is changed."""
        return name_and_unusual(self, Augment)

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""

    def layers(self, seed: int) -> list[Any]:  # noqa: ARG002
        """Keras layers to be applied one after another.

        Parameters
        ----------
        seed : int
            From 0 to 2**32 - 1; each layer draws from a sequence of its own.

        Returns
        -------
        list of keras.Layer
            float32 pixels 0..255, shape (batch, height, width, 3), to the same. They change
            images only where they are called with `training=True`.
        """
        return []


@dataclass
class OriginalAugment(Augment):
    """`augment=original`: rotation, shear, zoom and a flip, drawn for each image by itself.

    Options and their units are those of Keras' old ImageDataGenerator, and so are the order of
    the changes and the border, which repeats the nearest pixel. What differs: shear leaves the
    top row where it is, not the middle one. Its `rescale` is no change at random: the network
    does it, for queries need it too.

    Parameters
    ----------
    rotation_range : float
        Degrees to either side, at most 180.
    shear_range : float
        Degrees to either side by which vertical lines lean, at most 45. (The 0.2 of many examples
        of ImageDataGenerator is a fifth of a degree, which nobody sees.)
    zoom_range : float
        Height and width are divided by 1 - zoom_range to 1 + zoom_range, each by its own; below 1.
    horizontal_flip : bool
        Whether every other image, by chance, is mirrored.
    """

    name: str = "original"
    rotation_range: float = 20.0
    shear_range: float = 10.0
    zoom_range: float = 0.2
    horizontal_flip: bool = True

    @property
    def active(self) -> bool:
        """Whether anything is changed."""
        ranges = (self.rotation_range, self.shear_range, self.zoom_range)
        return self.horizontal_flip or any(ranges)

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        for name, most in (("rotation_range", 180), ("shear_range", 45)):
            value = getattr(self, name)
            if not 0 <= value <= most:
                raise BenchError(f"augment.{name}={value}: degrees, from 0 to {most}")
        if not 0 <= self.zoom_range < 1:
            raise BenchError(f"augment.zoom_range={self.zoom_range}: a share, from 0 to below 1")

    def layers(self, seed: int) -> list[Any]:
        """Keras layers of those changes that are asked for; see `Augment.layers`."""
        import_tensorflow()
        from keras import layers

        # With one seed for all, an image that is turned far would also be zoomed far.
        seeds = [int(state) for state in np.random.SeedSequence(seed).generate_state(4)]
        shear, zoom = math.tan(math.radians(self.shear_range)), self.zoom_range
        # Half precision has steps of an eighth of a gray level at 255.
        usual = {"dtype": "float32"}
        border = usual | {"fill_mode": "nearest", "interpolation": "bilinear"}
        made = []
        if self.rotation_range:
            turn = self.rotation_range / 360
            made.append(layers.RandomRotation(turn, seed=seeds[0], name="rotation", **border))
        if shear:
            made.append(layers.RandomShear(shear, seed=seeds[1], name="shear", **border))
        if zoom:
            made.append(layers.RandomZoom(zoom, zoom, seed=seeds[2], name="zoom", **border))
        if self.horizontal_flip:
            made.append(layers.RandomFlip("horizontal", seed=seeds[3], name="flip", **usual))
        return made


def restart_draws(network: Any, seed: int, epoch: int) -> None:  # noqa: ANN401 - keras.Model
    """Let everything drawn at random in an epoch depend on seed and epoch alone.

    Keras saves no state of its random generators, not with the weights either. A training that
    calls this at the beginning of each epoch, and is taken up again after a whole epoch, draws
    what it would have drawn.

    Parameters
    ----------
    network : keras.Model
        All layers in it that draw are meant: those of `Augment.layers`, and dropout.
    seed : int
        From 0 to 2**32 - 1.
    epoch : int
        From 0.
    """
    states = [
        variable
        for variable in network.non_trainable_variables
        if variable.name == "seed_generator_state"
    ]
    seeds = np.random.SeedSequence([seed, epoch]).generate_state(len(states))
    for state, drawn in zip(states, seeds, strict=True):
        state.assign([int(drawn), 0])
