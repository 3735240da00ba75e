"""Roles of options: what each option of a run can change.

An option's dataclass field has its role as metadata, for example
`resume: bool = field(default=True, metadata=SPEED)`. A field without one has the role of the group
it is in, and `result` if no group has one.
"""

from __future__ import annotations

from dataclasses import Field, fields, is_dataclass
from typing import Any

RESULT = {"role": "result"}  # changes scores or rankings
SPEED = {"role": "speed"}  # changes only how fast they are computed, or which of them are first
PLACE = {"role": "place"}  # changes neither: locations, names, limits, and what is shown
# Options of a run that are without effect unless the model ranks by embeddings, or is trained. The
# values are the properties of `Model` that answer this.
OF_EMBEDDINGS = {"needs": "embeds"}
OF_TRAINING = {"needs": "trains"}


def role(entry: Field[Any], group: str = "result") -> str:
    """Return the role of an option, by default that of its group: result, speed or place."""
    return str(entry.metadata.get("role", group))


def result_options(options: Any) -> dict[str, Any]:  # noqa: ANN401 - a dataclass
    """Return the options that can change scores, by name; groups as dictionaries."""
    values = {
        entry.name: getattr(options, entry.name)
        for entry in fields(options)
        if role(entry) == "result"
    }
    return {
        name: result_options(value) if is_dataclass(value) else value
        for name, value in values.items()
    }
