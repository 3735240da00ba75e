"""Labels of options in tables: those that differ from their defaults, as `name=value`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any

from outliers_bench.runtime.option_roles import role


def non_default_options(options: object, defaults: type, exclude: Sequence[str] = ()) -> list[str]:
    """List the options that differ from their defaults and can change scores, as `name=value`.

    Only fields of the dataclass `defaults` are compared, and those named in `exclude` are not.
    """
    default, labels = defaults(), []
    for option in fields(defaults):
        value = getattr(options, option.name)
        listed = option.name not in exclude and role(option) == "result"
        if listed and value != getattr(default, option.name):
            labels.append(f"{option.name}={_format_value(value)}")
    return labels


def name_and_non_defaults(options: Any, plain: type) -> str:  # noqa: ANN401 - a dataclass
    """Return the name of a choice and its non-default options; empty for the base with defaults.

    `plain` is the base of the config group, which has no effect and no label.
    """
    labels = non_default_options(options, type(options), ("name",))
    return "" if type(options) is plain and not labels else join_nonempty(options.name, *labels)


def join_nonempty(*parts: str) -> str:
    """Join the parts that are not empty with spaces."""
    return " ".join(part for part in parts if part)


def weights_label(path: str) -> str:
    """Return the name of a weight file without folders and suffixes, or an MLflow model's id."""
    if match := re.match(r"(?:runs|models):/+([^/@]+)", path):
        return match[1][:8]
    name = Path(path).name
    if name == "model.keras":  # the file name of every trained network
        name = Path(path).parent.name
    for suffix in (".h5", ".keras", ".weights"):
        name = name.removesuffix(suffix)
    return name


def _format_value(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
