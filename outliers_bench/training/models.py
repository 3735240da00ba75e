"""The `model=` options that are trained on the train part."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Any

from outliers_bench.engines.protocols import check_size
from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Compose
from outliers_bench.models.model_uris import resolve_uri
from outliers_bench.models.pooling import Pooling
from outliers_bench.models.tta import Tta
from outliers_bench.runtime.option_labels import join_nonempty, weights_label
from outliers_bench.store.features import Space
from outliers_bench.training.base import Layer, TrainedModel
from outliers_bench.training.networks import (
    CNN_CHANNELS,
    MIN_SIDE,
    Body,
    Trainable,
    build_backbone_body,
    build_cnn_body,
    cnn_vector_length,
    set_trainable,
)


@dataclass
class CnnScratch(TrainedModel):
    """A small convolutional network, trained from random weights."""

    name: str = "cnn_scratch"
    image_size: int = 128

    @property
    def has_plain_convolutions(self) -> bool:
        """True unless layers of an augmentation are part of the network."""
        return not self.augment.active

    def build_body(self, pixels: Any, backbone: Any) -> Body:  # noqa: ANN401, ARG002
        """See `TrainedModel.build_body`."""
        return build_cnn_body(pixels)

    def check(self) -> None:
        """See `TrainedModel.check`."""
        super().check()
        if self.image_size < MIN_SIDE:
            raise BenchError(
                f"model.image_size={self.image_size} is too small for {self.name}, which needs "
                f"{MIN_SIDE} or more"
            )
        check_size(self.image_size)
        if self.weights != "random" and not self.ready:
            missing = "" if resolve_uri(self.weights).exists() else "no such file; "
            raise BenchError(
                f"model.weights={self.weights}: {missing}{self.name} starts from random weights; "
                "to reuse a network trained by this package, give runs:/<run id>/model or its file"
            )

    def architecture_options(self) -> dict[str, Any]:
        """See `TrainedModel.architecture_options`."""
        return {"model": "cnn_scratch", **super().architecture_options()}

    def width(self, layer: Layer) -> int | None:
        """See `TrainedModel.width`."""
        return CNN_CHANNELS if layer is Layer.backbone else cnn_vector_length(self.image_size)


@dataclass
class Transfer(TrainedModel):
    """A pretrained backbone with a new head.

    Parameters
    ----------
    backbone : str
        The `model=` choice of the backbone.
    image_size : int
        Side in pixels of the input; 0 for the backbone's default.
    pooling : Pooling
        Pooling of the last feature map before the head; `flatten` keeps all positions.
    gem_p : float
        Exponent of `gem` pooling.
    hidden : int or None
        Units of a hidden layer with ReLU before the classes; None for no hidden layer.
    trainable : Trainable
        The part of the backbone that is trained along with the head.
    trainable_layers : list of str or None
        Names of the layers to train with `last_layers`; None for the last block.
    """

    name: str = "transfer"
    image_size: int = 0
    backbone: str = "mobilenet"
    weights: str = field(default="imagenet", kw_only=True)
    pooling: Pooling = field(default=Pooling.flatten, kw_only=True)
    gem_p: float = field(default=3.0, kw_only=True)
    hidden: int | None = field(default=None, kw_only=True)
    trainable: Trainable = field(default=Trainable.head_only, kw_only=True)
    trainable_layers: list[str] | None = field(default=None, kw_only=True)
    batch_size: int = field(default=32, kw_only=True)

    def __post_init__(self) -> None:
        self._base: Backbone | None = None

    @property
    def base(self) -> Backbone:
        """The backbone, with the options of this model."""
        if self._base is None:
            raise ValueError("the backbone is not resolved yet")
        return replace(
            self._base,
            image_size=self.image_size,
            weights="random" if self.ready else self.weights,
            pooling=self.pooling,
            gem_p=self.gem_p,
            random_seed=self.random_seed,
            tta=Tta(),
        )

    @base.setter
    def base(self, base: Backbone) -> None:
        self.image_size = self.image_size or base.image_size
        self._base = base

    @property
    def frozen_backbone(self) -> Backbone | None:
        """The backbone, if neither training nor augmentation changes its output."""
        unchanged = self.trainable is Trainable.head_only and not self.augment.active
        return self.base if unchanged else None

    @property
    def variant(self) -> str:
        """See `TrainedModel.variant`; names the backbone's weights if they are not ImageNet's."""
        weights = "" if self.ready or self.weights == "imagenet" else weights_label(self.weights)
        return join_nonempty(super().variant, weights)

    def resolve(self, compose: Compose, weights_dir: str | None) -> None:
        """Replace the name of the backbone, and `weights=imagenet`; see `Model.resolve`."""
        if not re.fullmatch(r"\w+", str(self.backbone)):
            raise BenchError(
                f"model.backbone={self.backbone}: the name of a backbone alone, such as "
                "mobilenet; its options are the model's own"
            )
        (base,) = compose([self.backbone], "model.backbone")
        if not isinstance(base, Backbone):
            raise BenchError(
                f"model.backbone={self.backbone}: not a backbone; give the name of one, such "
                "as mobilenet (python -m outliers_bench --help lists them)"
            )
        self.base = base
        self.weights = self.base.find_weights(self.weights, weights_dir)

    def build_backbone(self, *, pretrained: bool) -> Any:  # noqa: ANN401 - keras.Model
        """See `TrainedModel.build_backbone`."""
        network = self.base.bare() if pretrained else self.base.network(pretrained=False)
        set_trainable(network, self.trainable, self.trainable_layers, keras_name=self.base.keras)
        return network

    def build_body(self, pixels: Any, backbone: Any) -> Body:  # noqa: ANN401
        """See `TrainedModel.build_body`."""
        return build_backbone_body(pixels, backbone, self.base)

    def restore_rescaling(self, backbone: Any) -> None:  # noqa: ANN401 - keras.Model
        """See `TrainedModel.restore_rescaling`."""
        self.base.restore_rescaling(backbone)

    def check(self) -> None:
        """See `TrainedModel.check`."""
        super().check()
        replace(self.base, pooling=Pooling.avg).check()
        if self.hidden is not None and self.hidden < 1:
            raise BenchError(f"model.hidden={self.hidden}: expected a positive integer or null")
        if self.trainable_layers is not None and self.trainable is not Trainable.last_layers:
            raise BenchError(
                f"model.trainable_layers={self.trainable_layers} requires "
                f"model.trainable=last_layers, not {self.trainable.value}"
            )

    def architecture_options(self) -> dict[str, Any]:
        """See `TrainedModel.architecture_options`."""
        pooling = {"model.pooling": self.pooling.value}
        if self.pooling is Pooling.gem:
            pooling["model.gem_p"] = f"{self.gem_p:g}"
        return {
            "model": f"transfer_{self.backbone}",
            **super().architecture_options(),
            **pooling,
            "model.hidden": self.hidden,
        }

    def width(self, layer: Layer) -> int | None:
        """See `TrainedModel.width`."""
        if layer is Layer.penultimate and self.hidden:
            return self.hidden
        flat = layer is Layer.penultimate and self.pooling is Pooling.flatten
        return None if flat else self.base.dim

    def space(self) -> Space:
        """Return the identity of the weights: the trained network's, or the backbone's."""
        return super().space() if self.ready else {"weights": self.base.weights_identity()}

    def recipe(self) -> dict[str, Any]:
        """See `TrainedModel.recipe`; a weights file is identified by its digest, not its name."""
        recipe = {**super().recipe(), "weights": self.base.weights_identity()}
        if self.pooling is not Pooling.gem:
            del recipe["gem_p"]
        return recipe
