"""How options are told in tables: the unusual ones, as they stand on the command line."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields
from enum import Enum
from pathlib import Path
from typing import Any


def unusual(options: object, defaults: type, besides: Sequence[str] = ()) -> list[str]:
    """Options that differ from their defaults, as `name=value`.

    Parameters
    ----------
    options : dataclass
        What was chosen.
    defaults : type of dataclass
        Which options to look at, and what is usual; can be made without arguments.
    besides : sequence of str
        Options that are not told.
    """
    usual, told = defaults(), []
    for option in fields(defaults):
        value = getattr(options, option.name)
        if option.name not in besides and value != getattr(usual, option.name):
            told.append(f"{option.name}={_plain(value)}")
    return told


def name_and_unusual(options: Any, plain: type) -> str:  # noqa: ANN401 - a dataclass
    """The name of what was chosen and its unusual options; empty for the plain base by itself.

    Parameters
    ----------
    options : dataclass
        What was chosen; has a `name`.
    plain : type of dataclass
        The base of its group, which needs no word.
    """
    told = unusual(options, type(options), ("name",))
    return "" if type(options) is plain and not told else joined(options.name, *told)


def joined(*parts: str) -> str:
    """Those parts that are not empty, with spaces between."""
    return " ".join(part for part in parts if part)


def weights_label(path: str) -> str:
    """A file of weights by its name, without folders and suffixes; a model in MLflow by its id."""
    if found := re.match(r"(?:runs|models):/+([^/@]+)", path):
        return found[1][:8]
    name = Path(path).name
    if name == "model.keras":  # as all trained networks are called
        name = Path(path).parent.name
    for suffix in (".h5", ".keras", ".weights"):
        name = name.removesuffix(suffix)
    return name


def _plain(value: object) -> str:
    if isinstance(value, Enum):
        return str(value.value)
    return f"{value:g}" if isinstance(value, float) else str(value).lower()
