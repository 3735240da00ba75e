"""A run's config as flat text, and the few words that say which method it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from outliers_bench.ensemble.options import Ensemble
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.keypoints.options import Verify
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Model
from outliers_bench.models.precision import precision_label
from outliers_bench.runtime.option_labels import joined
from outliers_bench.training.base import TrainedModel
from outliers_bench.training.options import INHERITED_OPTIONS

if TYPE_CHECKING:
    from outliers_bench.config.schema import Config


# Where a run is kept and how it is pictured says nothing about its numbers.
# What models take over from the run stands in those that do.
_UNRELATED_OPTIONS = (
    *("cache", "tracking", "contact_sheets", "hydra", "published", "weights_dir"),
    *INHERITED_OPTIONS[1:],
)


@dataclass(frozen=True)
class MethodLabel:
    """Which method a run measured.

    Parameters
    ----------
    model, index, similarity : str
        As the config names them.
    variant : str
        Image size, and what else is unusual about the model.
    reduction : str
        What reduces the vectors, a PCA by its number of components alone; `none` without.
    rerank : str
        The re-ranking and its depth; empty without.
    """

    model: str
    variant: str
    reduction: str
    index: str
    similarity: str
    rerank: str = ""

    def __str__(self) -> str:
        reduction = "" if self.reduction == "none" else self.reduction
        parts = (
            f"{self.model} {self.variant}",
            reduction,
            self.index,
            self.similarity,
            self.rerank,
        )
        return " · ".join(part for part in parts if part)


def to_mapping(config: Config) -> dict[str, Any]:
    """The config as nested plain values; enums by name, missing values as `???`.

    An ensemble's members are told as what they stand for, too.
    """
    values: dict[str, Any] = _plain(config)
    if isinstance(config.model, Ensemble):
        values["model"]["resolved"] = {
            label: _plain(member)
            for label, member in zip(config.model.labels, config.model.models, strict=True)
        }
    return values


def _plain(value: object) -> Any:  # noqa: ANN401
    """As `OmegaConf.to_container` of it would be, in a fiftieth of the time: a sweep has many."""
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Enum) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Nested values as `group.option` to text, without the groups that do not change numbers.

    Examples
    --------
    >>> flatten({"pca": {"n": 500}, "k": [1, 5], "cache": {"dir": "x"}})
    {'pca.n': '500', 'k': '[1, 5]'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        if not prefix and key in _UNRELATED_OPTIONS:
            continue
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def describe_method(config: Config) -> MethodLabel:
    """Name the method of a config."""
    if isinstance(config.model, KeypointMatching):
        model = config.model
        how = "matches" if model.verify is Verify.none else model.verify.value
        shortlist = "" if model.verify is Verify.none else f" {model.shortlist or 'all'}"
        return MethodLabel(
            model.name,
            model.variant,
            reduction="none",
            index="keypoints",
            similarity=how + shortlist,
        )
    if isinstance(config.model, TrainedModel) and not config.model.embeds:
        return MethodLabel(
            config.model.name,
            config.model.variant,
            reduction="none",
            index="none",
            similarity="class scores",
        )
    if not config.model.embeds:
        return MethodLabel(
            config.model.name,
            _variant(config),
            reduction="none",
            index="keypoints",
            similarity="fused",
        )
    return MethodLabel(
        model=config.model.name,
        variant=_variant(config),
        reduction=_reduction(config),
        index=config.index.label,
        similarity=config.index.metric.name,
        rerank=config.rerank.label,
    )


def _variant(config: Config) -> str:
    """The model's, and the precision where it is not float32."""
    return joined(
        config.model.variant, precision_label(config.model, config.engine, config.cache.path)
    )


def model_family(model: Model) -> str:
    """What kind of method a model is: keypoints, pretrained, trained, ensemble or baseline."""
    kinds: dict[str, tuple[type[Model], ...]] = {
        "ensemble": (Ensemble,),
        "keypoints": (KeypointMatching, Vlad),
        "trained": (TrainedModel,),
        "pretrained": (Backbone,),
    }
    if isinstance(model, Backbone) and model.weights == "random":
        return "baseline"
    return next((name for name, of in kinds.items() if isinstance(model, of)), "baseline")


def _reduction(config: Config) -> str:
    before, after = (
        "L2" if on else "" for on in (config.l2.before_reduction, config.l2.after_reduction)
    )
    return " ".join(part for part in (before, config.reducer.label, after) if part) or "none"
