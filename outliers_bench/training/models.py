"""The `model=` options that are trained on the train part."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from enum import Enum
from importlib.metadata import version
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.features.backbone import Backbone, check_weight_file, digest_of
from outliers_bench.features.extractor import Model, Space, check_size
from outliers_bench.features.located import located
from outliers_bench.features.pooling import Pooling
from outliers_bench.features.views import Views
from outliers_bench.labels import joined, unusual, weights_label
from outliers_bench.training.networks import CNN_CHANNELS, SMALLEST_SIDE, Trainable, cnn_features
from outliers_bench.training.options import TrainingOptions
from outliers_bench.training.saved import is_trained
from outliers_bench.types import ImageSet, Split

# What changes no bit of a trained network: how it is called and used, and how the work is done.
_OF_USE = ("name", "embedding", "rank_by", "views", "resume", "memory_gb")
_TOLD_APART = ("name", "image_size", "backbone", "embedding", "rank_by", "views", "lr_schedule")
_NOT_TOLD = ("augment", "random_seed", "resume", "memory_gb", "weights")


class Layer(Enum):
    """Which layer's output is the embedding; the values of `model.embedding`."""

    penultimate = "penultimate"  # what the classifying layer sees
    backbone = "backbone"  # global average of the last feature map
    logits = "logits"  # a number for each class, before the softmax


class RankBy(Enum):
    """What the gallery is ranked by; the values of `model.rank_by`."""

    embedding = "embedding"
    class_scores = "class_scores"  # probability of the class that the query is taken for


@dataclass
class Trained(TrainingOptions, Model):
    """Base of the models that are trained.

    Parameters
    ----------
    image_size : int
        Side in pixels of the square that photos are squeezed to.
    weights : str
        What the training begins with; or `runs:/<run id>/model`, or the file, of a network that
        was trained before, which is then used as it is.
    embedding : Layer
        Which layer's output is searched.
    rank_by : RankBy
        `class_scores` ranks the gallery by the probability of the class that the query most
        probably is, as a classifier would; nothing is searched then.
    views : Views
        How each photo is looked at once the network is trained.
    """

    image_size: int
    weights: str = field(default="random", kw_only=True)
    embedding: Layer = field(default=Layer.logits, kw_only=True)
    rank_by: RankBy = field(default=RankBy.embedding, kw_only=True)
    views: Views = field(default_factory=Views, kw_only=True)

    @property
    def embeds(self) -> bool:
        """Whether a PCA, an index and a re-ranking have something to work on."""
        return self.rank_by is RankBy.embedding

    @property
    def beside(self) -> tuple[str, ...]:
        """Options that change no figure."""
        return ("resume", "memory_gb")

    @property
    def ready(self) -> bool:
        """Whether `weights` are those of a network that needs no training."""
        return is_trained(self.weights)

    @property
    def frozen(self) -> Backbone | None:
        """What comes before the head, where the training sees it unchanged for every image."""
        return None

    @property
    def smallest(self) -> int:
        """Side in pixels of the smallest image the network can take."""
        raise NotImplementedError

    @property
    def variant(self) -> str:
        """The image size, what is searched, and what is unusual about the training."""
        by = self.embedding.value if self.embeds else "class scores"
        parts = [f"{self.image_size}px", by]
        if self.ready:
            parts.append(weights_label(self.weights))
        else:
            parts += unusual(self, type(self), (*_TOLD_APART, *_NOT_TOLD))
            parts += [self.lr_schedule.label, self.augment.label]
        return joined(*parts, self.views.label)

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        self.check_training()
        if self.image_size < self.smallest:
            raise BenchError(
                f"model.image_size={self.image_size} is too small for {self.name}, which needs "
                f"{self.smallest} or more"
            )
        check_size(self.image_size)
        self.views.check(self.image_size)
        if set(self.views.sizes(self.image_size)) != {self.image_size}:
            raise BenchError(
                f"model.views.scales={self.views.scales}: {self.name} is trained for images of "
                f"{self.image_size} pixels; leave scales at [1]"
            )

    def check_split(self, split: Split) -> None:
        """Refuse to train where there is nothing to learn from, or one class only."""
        if self.ready:
            return
        labels = split.train.labels
        if not len(split.train) or labels is None:
            why = (
                "with leave_one_out nothing is left to train on"
                if split.leave_one_out
                else "it has none"
            )
            raise BenchError(
                f"model={self.name} learns from the labels of a train part, and for {split.name} "
                f"{why}; give one, or model.weights=<a network trained before>"
            )
        if len(np.unique(labels)) < 2:
            raise BenchError(
                f"model={self.name}: all images of the train part of {split.name} are of one "
                "class, so there is nothing to tell apart"
            )

    def told(self, split: Split) -> dict[str, float]:
        """How many queries are of classes that the network has never seen."""
        if self.ready or split.query.labels is None or split.train.labels is None:
            return {}
        unseen = int((~np.isin(split.query.labels, split.train.labels)).sum())
        return {"queries_of_unseen_classes": unseen} if unseen else {}

    def dimensions_on(self, train: ImageSet) -> int | None:
        """Length of the embeddings after training on that part; None where only building tells."""
        if self.embedding is Layer.logits:
            known = not self.ready and train.labels is not None
            return len(np.unique(train.labels)) if known and train.labels is not None else None
        return self.width(self.embedding)

    def width(self, layer: Layer) -> int | None:
        """Length of the output of a layer that does not depend on the classes, if it is known."""
        raise NotImplementedError

    def space(self) -> Space:
        """The weights' identity, where they are not decided by the training; see `Model.space`."""
        return {"weights": digest_of(located(self.weights))} if self.ready else {}

    def recipe(self) -> dict[str, Any]:
        """Everything that the trained weights depend on, but the photos; JSON can write it."""
        values = {key: _plain(value) for key, value in asdict(self).items() if key not in _OF_USE}
        return {
            **values,
            "network": type(self).__name__,
            "keras": version("keras"),
            "tensorflow": version("tensorflow"),
        }


@dataclass
class CnnScratch(Trained):
    """A small convolutional network, trained from random weights."""

    name: str = "cnn_scratch"
    image_size: int = 128

    @property
    def smallest(self) -> int:
        """Side in pixels that leaves one position after three poolings."""
        return SMALLEST_SIDE

    def check(self) -> None:
        """See `Trained.check`."""
        super().check()
        if self.weights != "random" and not self.ready:
            check_weight_file(self.weights)
            raise BenchError(
                f"model.weights={self.weights}: {self.name} begins with random weights; only a "
                "network that was trained here can take its place"
            )

    def width(self, layer: Layer) -> int | None:
        """See `Trained.width`."""
        return CNN_CHANNELS if layer is Layer.backbone else cnn_features(self.image_size)


@dataclass
class Transfer(Trained):
    """A backbone with weights of its own and a new head.

    Parameters
    ----------
    backbone : str
        Name of the `model=` option of the backbone.
    image_size : int
        0 takes the backbone's own.
    pooling : Pooling
        What the head sees of the last feature map; `flatten`: all of it.
    gem_p : float
        Exponent of `gem`.
    hidden : int or None
        Units of a layer between backbone and classes, with ReLU; None: no such layer.
    trainable : Trainable
        Which part of the backbone learns with the head.
    trainable_layers : list of str or None
        Names of the layers that learn under `last_layers`; None takes its last block.
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
        """The backbone as what its name stands for."""
        if self._base is None:
            raise ValueError("the backbone has not been composed")
        return self._base

    @base.setter
    def base(self, base: Backbone) -> None:
        self.image_size = self.image_size or base.image_size
        self._base = replace(
            base,
            image_size=self.image_size,
            weights="random" if self.ready else self.weights,
            pooling=self.pooling,
            gem_p=self.gem_p,
            random_seed=self.random_seed,
            views=Views(),
        )

    @property
    def smallest(self) -> int:
        """The backbone's."""
        return self.base.min_image_size

    @property
    def frozen(self) -> Backbone | None:
        """The backbone, where neither training nor augmentation changes what it gives."""
        unchanged = self.trainable is Trainable.head_only and not self.augment.active
        return self.base if unchanged else None

    @property
    def variant(self) -> str:
        """See `Trained.variant`; weights of the backbone that are not ImageNet's are told."""
        told = "" if self.ready or self.weights == "imagenet" else weights_label(self.weights)
        return joined(super().variant, told)

    def check(self) -> None:
        """See `Trained.check`."""
        super().check()
        replace(self.base, pooling=Pooling.avg).check()
        if self.hidden is not None and self.hidden < 1:
            raise BenchError(f"model.hidden={self.hidden}: a whole number of units, or null")
        if self.trainable_layers is not None and self.trainable is not Trainable.last_layers:
            raise BenchError(
                f"model.trainable_layers={self.trainable_layers} is for "
                f"model.trainable=last_layers, not {self.trainable.value}"
            )

    def width(self, layer: Layer) -> int | None:
        """See `Trained.width`."""
        if layer is Layer.penultimate and self.hidden:
            return self.hidden
        flat = layer is Layer.penultimate and self.pooling is Pooling.flatten
        return None if flat else self.base.dim

    def space(self) -> Space:
        """The backbone's weights, beside what `Trained.space` says."""
        return super().space() if self.ready else {"backbone_weights": self.base.weights_identity()}

    def recipe(self) -> dict[str, Any]:
        """See `Trained.recipe`; a file of weights by its digest and not its name."""
        return {**super().recipe(), "weights": self.base.weights_identity()}


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value
