"""Records of the outbox: functions of this package to call, with plain arguments."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

END = "-end"  # at the end of the name of a box's last record
_PACKAGE = __package__.partition(".")[0]


@dataclass(frozen=True)
class Record:
    """A call to make: `call` names a function `f(client, run_id, **arguments)` of this package."""

    path: Path
    call: str
    arguments: dict[str, Any]
    files: str | None

    @classmethod
    def read(cls, path: Path) -> Record:
        """Read a record; `files` is the name of its folder of files, relative to the box."""
        values = json.loads(path.read_text(encoding="utf-8"))
        return cls(path, values["call"], values["arguments"], values["files"])

    def make(self, client: object, run_id: str) -> None:
        """Call the function; it gets the folder of its files as the argument `folder`."""
        arguments = dict(self.arguments)
        if self.files is not None:
            arguments["folder"] = self.path.parent / self.files
        function_named(self.call)(client, run_id, **arguments)


def is_last(path: Path) -> bool:
    """Check whether the run or sweep ends with the record in a file."""
    return path.stem.endswith(END)


def name_of(function: Callable[..., Any]) -> str:
    """Return the name of a function, as `module:function`."""
    return f"{function.__module__}:{function.__qualname__}"


def function_named(call: str) -> Callable[..., Any]:
    """Return the function of a record.

    Raises
    ------
    ValueError
        If it is not a function of a module of this package.
    """
    module, _, name = call.partition(":")
    if module.partition(".")[0] == _PACKAGE:
        function = getattr(import_module(module), name, None)
        if getattr(function, "__module__", None) == module and callable(function):
            return function  # type: ignore[no-any-return]
    raise ValueError(f"{call} is not a function of {_PACKAGE}")


def write(path: Path, text: str) -> None:
    """Write a file aside and rename it."""
    # Not `write_atomically`, which would make the folder of a removed box again.
    aside = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    aside.write_text(text, encoding="utf-8")
    aside.replace(path)
