"""Roles of a run's options, and warnings about options that have no effect on a model."""

from __future__ import annotations

import logging
import re
from dataclasses import fields, is_dataclass
from functools import cache
from typing import get_type_hints

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.config.schema import Config
from outliers_bench.runtime import option_roles
from outliers_bench.runtime.option_labels import non_default_options

_log = logging.getLogger(__name__)
_REASONS = {"embeds": "does not rank by embeddings", "trains": "is not trained"}


@cache
def role(name: str) -> str:
    """Return the role of an option or group by its name: result, speed or place.

    Params in MLflow have the same names; the role of an unknown name is `result`.

    Examples
    --------
    >>> role("cache.dir"), role("engine.kind"), role("engine.precision"), role("model.epochs")
    ('place', 'speed', 'result', 'result')
    """
    group, _, option = name.partition(".")
    # Members of an ensemble are recorded as model.resolved.<label>.<option>.
    option = re.sub(r"^resolved\.[^.]*\.", "", option).partition(".")[0]
    groups = [entry for entry in fields(Config) if entry.name == group]
    of_group = option_roles.role(groups[0]) if groups else "result"
    kinds = SCHEMAS.get(group, {}).values() or [get_type_hints(Config).get(group)]
    for kind in kinds:
        for entry in fields(kind) if is_dataclass(kind) else ():
            if entry.name == option:
                return option_roles.role(entry, of_group)
    return of_group


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
