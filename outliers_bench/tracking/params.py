"""MLflow params of a config, and labels that describe its method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any

from outliers_bench.config.roles import role
from outliers_bench.config.schema import Config, needing
from outliers_bench.models.precision import precision_label
from outliers_bench.runtime.option_labels import join_nonempty


@dataclass(frozen=True)
class MethodLabel:
    """Label of a run's method."""

    model: str
    variant: str  # image size and non-default options of the model
    reduction: str  # such as `PCA 64`; `none` without
    index: str
    similarity: str
    rerank: str = ""  # re-ranking and its depth; empty without

    def __str__(self) -> str:
        reduction = "" if self.reduction == "none" else self.reduction
        parts = f"{self.model} {self.variant}", reduction, self.index, self.similarity, self.rerank
        return " · ".join(filter(None, parts))


def to_mapping(config: Config) -> dict[str, Any]:
    """Convert a config to nested plain values, with enums by name and missing values as `???`.

    Members of an ensemble are included in resolved form, too.
    """
    values: dict[str, Any] = _plain(config)
    if resolved := config.model.resolved:
        values["model"]["resolved"] = _plain(resolved)
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
    own = config.model.own_search
    index, similarity = own or (config.index.label, config.index.metric.name)
    return MethodLabel(
        model=config.model.name,
        variant=_variant(config),
        reduction="none" if own else _reduction(config),
        index=index,
        similarity=similarity,
        rerank="" if own else config.rerank.label,
    )


def _variant(config: Config) -> str:
    """Return the model's variant, with the precision if it is not float32."""
    return join_nonempty(
        config.model.variant, precision_label(config.model, config.engine, config.cache.path)
    )


def _reduction(config: Config) -> str:
    before, after = (
        "L2" if on else "" for on in (config.l2.before_reduction, config.l2.after_reduction)
    )
    return " ".join(part for part in (before, config.reducer.label, after) if part) or "none"
