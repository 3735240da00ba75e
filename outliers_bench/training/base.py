"""What all `model=` options share that are trained on the train part."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from enum import Enum
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np

from outliers_bench.engines.protocols import check_size
from outliers_bench.errors import BenchError
from outliers_bench.models.backbone import Backbone, digest_of
from outliers_bench.models.model import Model
from outliers_bench.models.model_uris import resolve_uri
from outliers_bench.models.tta import Tta
from outliers_bench.runtime.option_labels import joined, unusual, weights_label
from outliers_bench.store.features import Space
from outliers_bench.training.options import Loss, Optimizer, TrainingOptions
from outliers_bench.training.saved_network import read_metadata, is_trained
from outliers_bench.types import ImageSet, Split
from outliers_bench.version import __version__

# What changes no bit of a trained network: how it is called and used, and how the work is done.
_SPEED_OPTIONS = ("resume", "memory_gb", "store_features")
_USAGE_OPTIONS = ("name", "embedding", "rank_by", "tta", *_SPEED_OPTIONS)
_TOLD_APART = ("name", "image_size", "backbone", "embedding", "rank_by", "tta", "lr_schedule")
_NOT_TOLD = ("augment", "random_seed", "weights", *_SPEED_OPTIONS)


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
class TrainedModel(TrainingOptions, Model):
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
    tta : TestTimeAugmentation
        How each photo is looked at once the network is trained.
    """

    image_size: int
    weights: str = field(default="random", kw_only=True)
    embedding: Layer = field(default=Layer.logits, kw_only=True)
    rank_by: RankBy = field(default=RankBy.embedding, kw_only=True)
    tta: Tta = field(default_factory=Tta, kw_only=True)

    @property
    def embeds(self) -> bool:
        """Whether a PCA, an index and a re-ranking have something to work on."""
        return self.rank_by is RankBy.embedding

    @property
    def inert_options(self) -> tuple[str, ...]:
        """Options that change no figure."""
        how = tuple(option.name for option in fields(TrainingOptions)) if self.ready else ()
        return (*how, *_SPEED_OPTIONS, *(() if self.embeds else ("embedding",)))

    @property
    def ready(self) -> bool:
        """Whether `weights` are those of a network that needs no training."""
        return is_trained(self.weights)

    @property
    def frozen_backbone(self) -> Backbone | None:
        """What comes before the head, where the training sees it unchanged for every image."""
        return None

    @property
    def min_image_size(self) -> int:
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
            labels = {"lr_schedule": self.lr_schedule.label, "augment": self.augment.label}
            parts += [f"{option}={label}" for option, label in labels.items() if label]
        return joined(*parts, self.tta.label)

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
        self.check_training()
        if self.image_size < self.min_image_size:
            raise BenchError(
                f"model.image_size={self.image_size} is too small for {self.name}, which needs "
                f"{self.min_image_size} or more"
            )
        check_size(self.image_size)
        self.tta.check(self.image_size)
        if set(self.tta.sizes(self.image_size)) != {self.image_size}:
            raise BenchError(
                f"model.tta.scales={self.tta.scales}: {self.name} is trained for images of "
                f"{self.image_size} pixels; leave scales at [1]"
            )
        if self.ready and (path := resolve_uri(self.weights)).is_file():
            self.check_saved(path)

    def check_saved(self, path: Path) -> None:
        """Raise `BenchError` where a trained network is not the one that these options describe."""
        mine = self.architecture_options()
        wrong = [
            f"{option}={'null' if value is None else value}"
            for option, value in read_metadata(path).options.items()
            if mine.get(option) != value
        ]
        if wrong:
            raise BenchError(
                f"model.weights={self.weights} was trained with other options; give "
                f"{' '.join(wrong)}"
            )

    def architecture_options(self) -> dict[str, Any]:
        """What decides the layers of the network that is kept, as options; JSON can write it."""
        return {"model.image_size": self.image_size, "model.loss": self.loss.value}

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

    def diagnostics(self, split: Split) -> dict[str, float]:
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
        return {"weights": digest_of(resolve_uri(self.weights))} if self.ready else {}

    def recipe(self) -> dict[str, Any]:
        """Everything that the trained weights depend on, but the photos; JSON can write it."""
        idle = {
            "momentum": self.optimizer is not Optimizer.sgd,
            "margin": self.loss is not Loss.arcface,
            "scale": self.loss is not Loss.arcface,
        }
        values = {
            key: _to_json(value)
            for key, value in asdict(self).items()
            if key not in _USAGE_OPTIONS and not idle.get(key, False)
        }
        return {
            **values,
            "version": __version__,
            "network": type(self).__name__,
            "keras": version("keras"),
            "tensorflow": version("tensorflow"),
        }


def _to_json(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, dict):
        return {key: _to_json(inner) for key, inner in value.items()}
    return value
