"""MLflow params of a config, and labels that describe its method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from outliers_bench.config.roles import role
from outliers_bench.config.schema import Config, needing
from outliers_bench.ensemble.options import Ensemble
from outliers_bench.keypoints.models import KeypointMatching, Vlad
from outliers_bench.keypoints.options import Verify
from outliers_bench.models.backbone import Backbone
from outliers_bench.models.model import Model
from outliers_bench.models.precision import precision_label
from outliers_bench.runtime.option_labels import join_nonempty
from outliers_bench.training.base import TrainedModel


@dataclass(frozen=True)
class MethodLabel:
    """Label of a run's method.

    Parameters
    ----------
    model, index, similarity : str
        Names from the config.
    variant : str
        Image size and non-default options of the model.
    reduction : str
        Dimensionality reduction, such as `PCA 64`; `none` without.
    rerank : str
        Re-ranking and its depth; empty without.
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
    """Convert a config to nested plain values, with enums by name and missing values as `???`.

    Members of an ensemble are included in resolved form, too.
    """
    values: dict[str, Any] = _plain(config)
    if isinstance(config.model, Ensemble):
        values["model"]["resolved"] = {
            label: _plain(member)
            for label, member in zip(config.model.labels, config.model.models, strict=True)
        }
    return values


def _plain(value: object) -> Any:  # noqa: ANN401
    """Return the same as `OmegaConf.to_container` in a fiftieth of the time, for sweeps."""
    if is_dataclass(value):
        return {entry.name: _plain(getattr(value, entry.name)) for entry in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value.name if isinstance(value, Enum) else value


def flatten(values: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """Flatten nested values to text by `group.option`, without groups that are only places.

    Options of the training are among those of the model.

    Examples
    --------
    >>> flatten({"pca": {"n": 500}, "k": [1, 5], "cache": {"dir": "x"}})
    {'pca.n': '500', 'k': '[1, 5]'}
    """
    flat: dict[str, str] = {}
    for key, value in values.items():
        if not prefix and (role(key) == "place" or key in needing("trains")):
            continue
        if isinstance(value, Mapping):
            flat.update(flatten(value, f"{prefix}{key}."))
        else:
            flat[f"{prefix}{key}"] = str(value)
    return flat


def describe_method(config: Config) -> MethodLabel:
    """Return the label of a config's method."""
    if isinstance(config.model, KeypointMatching):
        model = config.model
        similarity = "matches" if model.verify is Verify.none else model.verify.value
        shortlist = "" if model.verify is Verify.none else f" {model.shortlist or 'all'}"
        return MethodLabel(
            model.name,
            model.variant,
            reduction="none",
            index="keypoints",
            similarity=similarity + shortlist,
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
    """Return the model's variant, with the precision if it is not float32."""
    return join_nonempty(
        config.model.variant, precision_label(config.model, config.engine, config.cache.path)
    )


def model_family(model: Model) -> str:
    """Return the family of a model: keypoints, pretrained, trained, ensemble or baseline."""
    kinds: dict[str, tuple[type[Model], ...]] = {
        "ensemble": (Ensemble,),
        "keypoints": (KeypointMatching, Vlad),
        "trained": (TrainedModel,),
        "pretrained": (Backbone,),
    }
    if isinstance(model, Backbone) and model.weights == "random":
        return "baseline"
    return next((name for name, types in kinds.items() if isinstance(model, types)), "baseline")


def _reduction(config: Config) -> str:
    before, after = (
        "L2" if on else "" for on in (config.l2.before_reduction, config.l2.after_reduction)
    )
    return " ".join(part for part in (before, config.reducer.label, after) if part) or "none"
