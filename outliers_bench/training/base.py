"""Base of the `model=` options that are trained on the train part."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Model
from outliers_bench.models.model_uris import resolve_uri
from outliers_bench.models.tta import Tta
from outliers_bench.runtime.option_labels import join_nonempty, non_default_options, weights_label
from outliers_bench.runtime.option_roles import result_options
from outliers_bench.store.features import Space
from outliers_bench.store.seal import network_digest
from outliers_bench.training.networks import Body
from outliers_bench.training.options import Loss, Optimizer, TrainingOptions
from outliers_bench.training.saved_network import is_trained, read_metadata
from outliers_bench.types import ImageSet, Split
from outliers_bench.version import __version__

# Options for the use of a trained network.
_USAGE = ("name", "embedding", "rank_by", "tta")
# Further options that a variant label shows in another form, or not at all.
_NOT_LISTED = ("image_size", "backbone", "lr_schedule", "augment", "random_seed", "weights")


class Layer(Enum):
    """The layer whose output is the embedding; the values of `model.embedding`."""

    penultimate = "penultimate"  # input of the classification layer
    backbone = "backbone"  # global average of the last feature map
    logits = "logits"  # one number per class, before the softmax


class RankBy(Enum):
    """The score that ranks the gallery; the values of `model.rank_by`."""

    embedding = "embedding"
    class_scores = "class_scores"  # probability of the query's predicted class


@dataclass
class TrainedModel(TrainingOptions, Model):
    """Base of the models that are trained.

    Parameters
    ----------
    image_size : int
        Side in pixels of the square that photos are resized to.
    weights : str
        Initial weights; or a network trained before, which is used without further training:
        `runs:/<run id>/model` or its file.
    embedding : Layer
        The layer whose output is searched.
    rank_by : RankBy
        `class_scores` ranks the gallery by the probability of the query's predicted class, as a
        classifier would, without any search.
    tta : Tta
        Views of each photo to average when the trained network embeds it.
    """

    image_size: int
    weights: str = field(default="random", kw_only=True)
    embedding: Layer = field(default=Layer.logits, kw_only=True)
    rank_by: RankBy = field(default=RankBy.embedding, kw_only=True)
    tta: Tta = field(default_factory=Tta, kw_only=True)
    family = "trained"
    learns_from_labels = True  # nobody knows which photos a network of an earlier run has seen

    @property
    def embeds(self) -> bool:
        """True if the gallery is ranked by embeddings, so that reduction and index apply."""
        return self.rank_by is RankBy.embedding

    @property
    def own_search(self) -> tuple[str, str] | None:
        """No index, and the similarity, if the gallery is ranked by class scores."""
        return None if self.embeds else ("none", "class scores")

    @property
    def inert_options(self) -> tuple[str, ...]:
        """Options of the training of a network that is ready, and the layer if none is searched."""
        training = [option.name for option in fields(TrainingOptions)] if self.ready else []
        return (*training, *([] if self.embeds else ["embedding"]))

    @property
    def trains(self) -> bool:
        """True unless the network is ready."""
        return not self.ready

    @property
    def ready(self) -> bool:
        """True if `weights` name a trained network, which needs no training."""
        return is_trained(self.weights)

    @property
    def frozen_backbone(self) -> Backbone | None:
        """The backbone, if its output for an image is constant during training."""
        return None

    @property
    def hidden(self) -> int | None:
        """Units of the hidden layer, if there is one."""
        return None

    @property
    def has_plain_convolutions(self) -> bool:
        """True if the network is made of plain convolutions, which XLA accelerates on a CPU."""
        return False

    def build_backbone(self, *, pretrained: bool) -> Any:  # noqa: ANN401, ARG002 - keras.Model
        """Build the backbone for training; None if there is none.

        Call it first, as it restarts Keras' layer numbering.
        """
        return None

    def build_body(self, pixels: Any, backbone: Any) -> Body:  # noqa: ANN401 - Keras tensor and model
        """Build what is between pixels and head; `backbone` comes from `build_backbone`."""
        raise NotImplementedError

    def restore_rescaling(self, backbone: Any) -> None:  # noqa: ANN401 - keras.Model
        """Restore the preprocessing in a backbone whose weights were copied."""

    @property
    def variant(self) -> str:
        """Image size, embedding layer and non-default training options."""
        by = self.embedding.value if self.embeds else "class scores"
        parts = [f"{self.image_size}px", by]
        if self.ready:
            parts.append(weights_label(self.weights))
        else:
            parts += non_default_options(self, type(self), (*_USAGE, *_NOT_LISTED))
            labels = {"lr_schedule": self.lr_schedule.label, "augment": self.augment.label}
            parts += [f"{option}={label}" for option, label in labels.items() if label]
        return join_nonempty(*parts, self.tta.label)

    def check(self) -> None:
        """Raise `BenchError` for invalid options."""
        self.check_training()
        self.tta.check(self.image_size)
        if set(self.tta.sizes(self.image_size)) != {self.image_size}:
            raise BenchError(
                f"model.tta.scales={self.tta.scales}: {self.name} is trained for images of "
                f"{self.image_size} pixels; leave scales at [1]"
            )
        if self.ready and (path := resolve_uri(self.weights)).is_file():
            self.check_saved(path)

    def check_rerank(self, rerank: str) -> None:
        """Raise `BenchError` if the gallery is ranked by class scores."""
        if not self.embeds:
            raise BenchError(
                f"rerank={rerank} re-ranks embeddings, and with model.rank_by=class_scores there "
                "are none; remove one of the two options"
            )

    def check_saved(self, path: Path) -> None:
        """Raise `BenchError` if a trained network has another architecture than these options."""
        options = self.architecture_options()
        required = [
            f"{option}={'null' if value is None else value}"
            for option, value in read_metadata(path).options.items()
            if options.get(option) != value
        ]
        if required:
            raise BenchError(
                f"model.weights={self.weights} was trained with other options; use "
                f"{' '.join(required)}"
            )

    def architecture_options(self) -> dict[str, Any]:
        """Return the options that determine the layers of the saved network; serializable."""
        return {"model.image_size": self.image_size, "model.loss": self.loss.value}

    def check_split(self, split: Split) -> None:
        """Raise `BenchError` if the train part is empty, unlabeled or of a single class."""
        if self.ready:
            return
        labels = split.train.labels
        if not len(split.train) or labels is None:
            reason = (
                "leave_one_out leaves no images to train on" if split.is_one_set else "it has none"
            )
            raise BenchError(
                f"model={self.name} learns from the labels of a train part, and for {split.name} "
                f"{reason}; provide one, or set model.weights=<a network trained before>"
            )
        if len(np.unique(labels)) < 2:
            raise BenchError(
                f"model={self.name}: all images of the train part of {split.name} are of one "
                "class; training needs at least two"
            )

    def diagnostics(self, split: Split) -> dict[str, float]:
        """Count the queries of classes that are not in the train part."""
        if self.ready or split.query.labels is None or split.train.labels is None:
            return {}
        unseen = int((~np.isin(split.query.labels, split.train.labels)).sum())
        return {"queries_of_unseen_classes": unseen} if unseen else {}

    def dimensions_on(self, train: ImageSet) -> int | None:
        """Return the length of the embeddings after training; None if unknown before building."""
        if self.embedding is not Layer.logits:
            return self.width(self.embedding)
        return None if self.ready or train.labels is None else len(np.unique(train.labels))

    def width(self, layer: Layer) -> int | None:
        """Return the output length of `penultimate` or `backbone`; None if unknown."""
        raise NotImplementedError

    def space(self) -> Space:
        """Return the digest of weights that need no training; see `Model.space`."""
        return {"weights": network_digest(resolve_uri(self.weights))} if self.ready else {}

    def recipe(self) -> dict[str, Any]:
        """Return everything that the trained weights depend on, except photos; serializable."""
        idle = {
            "momentum": self.optimizer is not Optimizer.sgd,
            "margin": self.loss is not Loss.arcface,
            "scale": self.loss is not Loss.arcface,
        }
        values = json.loads(json.dumps(result_options(self), default=lambda option: option.value))
        return {
            **{key: values[key] for key in values if key not in _USAGE and not idle.get(key)},
            "version": __version__,
            "network": type(self).__name__,
            "keras": version("keras"),
            "tensorflow": version("tensorflow"),
        }
