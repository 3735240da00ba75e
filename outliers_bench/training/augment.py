"""The `augment=` options: random transformations of images during training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from outliers_bench.engines.tensorflow import import_tensorflow
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_labels import name_and_non_defaults


@dataclass
class Augment:
    """Base of the `augment=` options; `none` leaves images unchanged.

    Parameters
    ----------
    name : str
        Name in tables.
    """

    name: str = "none"

    @property
    def active(self) -> bool:
        """True if images are transformed."""
        return False

    @property
    def label(self) -> str:
        """Label in tables: the name and non-default options; empty for `none`."""
        return name_and_non_defaults(self, Augment)

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""

    def layers(self, seed: int) -> list[Any]:  # noqa: ARG002
        """Return Keras layers, to be applied in order; each has its own random sequence.

        Input and output are float32 pixels 0..255, shape (batch, height, width, 3). Images change
        only in calls with `training=True`. The seed is below 2**32.
        """
        return []


@dataclass
class OriginalAugment(Augment):
    """`augment=original`: rotation, shear, zoom and flip, drawn independently for each image.

    Options, units, the order of the transformations and the border, which repeats the nearest
    pixel, are those of Keras' former ImageDataGenerator. One difference: shear leaves the top row
    in place, not the middle row. `rescale` is not random, so it is part of the network, since
    queries need it too.

    Parameters
    ----------
    rotation_range : float
        Degrees in either direction, at most 180.
    shear_range : float
        Degrees in either direction by which vertical lines lean, at most 45. (The 0.2 in many
        ImageDataGenerator examples is a fifth of a degree, which is invisible.)
    zoom_range : float
        Height and width are divided by separate factors from 1 - zoom_range to 1 + zoom_range;
        below 1.
    horizontal_flip : bool
        Whether each image is mirrored with a probability of one half.
    """

    name: str = "original"
    rotation_range: float = 20.0
    shear_range: float = 10.0
    zoom_range: float = 0.2
    horizontal_flip: bool = True

    @property
    def active(self) -> bool:
        """True if images are transformed."""
        ranges = (self.rotation_range, self.shear_range, self.zoom_range)
        return self.horizontal_flip or any(ranges)

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        for name, maximum in (("rotation_range", 180), ("shear_range", 45)):
            value = getattr(self, name)
            if not 0 <= value <= maximum:
                raise BenchError(f"augment.{name}={value}: expected degrees, from 0 to {maximum}")
        if not 0 <= self.zoom_range < 1:
            raise BenchError(
                f"augment.zoom_range={self.zoom_range}: expected a fraction, from 0 to below 1"
            )

    def layers(self, seed: int) -> list[Any]:
        """Return Keras layers for the enabled transformations; see `Augment.layers`."""
        import_tensorflow()
        from keras import layers

        # A shared seed would correlate the transformations: large rotation with large zoom.
        seeds = [int(state) for state in np.random.SeedSequence(seed).generate_state(4)]
        shear, zoom = math.tan(math.radians(self.shear_range)), self.zoom_range
        # Half precision has steps of an eighth of a gray level at 255.
        common = {"dtype": "float32"}
        border = common | {"fill_mode": "nearest", "interpolation": "bilinear"}
        result = []
        if self.rotation_range:
            turn = self.rotation_range / 360
            result.append(layers.RandomRotation(turn, seed=seeds[0], name="rotation", **border))
        if shear:
            result.append(layers.RandomShear(shear, seed=seeds[1], name="shear", **border))
        if zoom:
            result.append(layers.RandomZoom(zoom, zoom, seed=seeds[2], name="zoom", **border))
        if self.horizontal_flip:
            result.append(layers.RandomFlip("horizontal", seed=seeds[3], name="flip", **common))
        return result


def reseed_generators(network: Any, seed: int, epoch: int) -> None:  # noqa: ANN401 - keras.Model
    """Reseed all random layers of a network: those of `Augment.layers` and dropout.

    Keras does not save the state of its random generators, not even with the weights. If training
    calls this at the beginning of each epoch, it draws the same numbers after being resumed.
    """
    states = [
        variable
        for variable in network.non_trainable_variables
        if variable.name == "seed_generator_state"
    ]
    seeds = np.random.SeedSequence([seed, epoch]).generate_state(len(states))
    for state, new_seed in zip(states, seeds, strict=True):
        state.assign([int(new_seed), 0])
