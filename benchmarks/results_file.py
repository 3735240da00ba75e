"""JSON file of `python -m benchmarks`, written after each section: an interrupt loses only one."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.goals import list_goals

KEYS = {"machine", "options", "results", "goals"}


class ResultsFile:
    """Results measured so far, in memory and in the file.

    Parameters
    ----------
    path : Path
        JSON file.
    machine : dict
        Description of the machine, from `benchmarks.machine`.
    options : dict
        Options that affect the results.
    order : sequence of str
        Names of the sections, in the order of the report.
    merge : bool
        Add to an existing file if it is of the same machine, commit and options. Otherwise the
        existing file is renamed as soon as the first section is measured.
    """

    def __init__(
        self,
        path: Path,
        *,
        machine: dict[str, Any],
        options: dict[str, Any],
        order: Sequence[str],
        merge: bool,
    ) -> None:
        self._path, self._order = path, order
        self._added: list[str] = []
        # Through JSON, so that they can be compared with those of a file.
        text = json.dumps({"machine": machine, "options": options, "results": {}, "goals": []})
        self.results: dict[str, Any] = json.loads(text)
        self._backup: Path | None = None
        if not path.exists():
            return
        earlier = read_results(path)
        of_earlier = _conditions(earlier)
        self.differs = [
            name for name, value in _conditions(self.results).items() if value != of_earlier[name]
        ]
        if merge and not self.differs:
            self.results = earlier
        else:
            self._backup = path.with_suffix(f".before{path.suffix}")

    differs: Sequence[str] = ()
    """Conditions in which the existing file differs from this run: commit, machine, options."""

    @property
    def backup_message(self) -> str:
        """Message that an earlier file will be renamed; empty if there is none."""
        if self._backup is None:
            return ""
        reason = f" (different {', '.join(self.differs)})" if self.differs else ""
        return f"a new {self._path} is started{reason}; the earlier one becomes {self._backup.name}"

    @property
    def added(self) -> Sequence[str]:
        """Sections added so far."""
        return self._added

    def add(self, name: str, result: dict[str, Any]) -> None:
        """Add the result of a section and write the file atomically."""
        if self._backup is not None:
            self._path.replace(self._backup)
            self._backup = None
        self._added.append(name)
        results = {**self.results["results"], name: json.loads(json.dumps(result))}
        self.results["results"] = {key: results[key] for key in self._order if key in results}
        self.results["goals"] = [goal.as_dict() for goal in list_goals(self.results["results"])]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        temporary.write_text(json.dumps(self.results, indent=2) + "\n")
        temporary.replace(self._path)


def _conditions(results: dict[str, Any]) -> dict[str, Any]:
    """Return the conditions that sections in one table must share, by name."""
    machine = dict(results["machine"])
    commit = machine.pop("commit", None), machine.pop("changes", None)
    machine.pop("load", None)
    return {"commit": commit, "machine": machine, "options": results["options"]}


def read_results(path: Path) -> dict[str, Any]:
    """Read a results file.

    Raises
    ------
    ValueError
        If it cannot be read, or was not written by `python -m benchmarks`; with a short message.
    """
    try:
        results = json.loads(path.read_text())
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from None
    except ValueError:
        results = None
    if not isinstance(results, dict) or not results.keys() >= KEYS:
        raise ValueError("is not a results file of python -m benchmarks")
    return results
