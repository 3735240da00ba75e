"""Role of any option of a run, by its name on the command line."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass
from functools import cache
from typing import get_type_hints

from outliers_bench.config.choices import SCHEMAS
from outliers_bench.config.schema import Config
from outliers_bench.runtime import option_roles


@cache
def role(name: str) -> str:
    """Return the role of an option, or of a group: result, speed or place.

    Parameters
    ----------
    name : str
        On the command line, or of a param in MLflow; `result` if there is no such option.

    Examples
    --------
    >>> role("cache.dir"), role("engine.batch_size"), role("engine.precision"), role("model.epochs")
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
