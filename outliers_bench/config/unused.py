"""Warnings about options that have no effect on a model."""

from __future__ import annotations

import logging
from dataclasses import fields, is_dataclass
from typing import get_type_hints

from outliers_bench.config.schema import Config
from outliers_bench.runtime.option_labels import non_default_options

_log = logging.getLogger(__name__)
_REASONS = {"embeds": "does not rank by embeddings", "trains": "is not trained"}


def warn_unused(config: Config) -> None:
    """Warn about options that differ from their defaults and have no effect on the model."""
    kinds = get_type_hints(Config)
    for entry in fields(config):
        needs = entry.metadata.get("needs")
        if needs is None or getattr(config.model, needs):
            continue
        for option in _given(entry.name, getattr(config, entry.name), kinds[entry.name]()):
            _log.warning(
                "%s has no effect: model=%s %s", option, config.model.name, _REASONS[needs]
            )


def _given(name: str, value: object, default: object) -> list[str]:
    """List the options of a group that differ from its default, as on the command line."""
    if not is_dataclass(value):
        return [] if value == default else [f"{name}={str(value).lower()}"]
    choice = getattr(value, "name", "")
    chosen = [f"{name}={choice}"] if choice != getattr(default, "name", "") else []
    options = non_default_options(value, type(default), ("name",))
    return [*chosen, *(f"{name}.{option}" for option in options)]
