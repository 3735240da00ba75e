"""The JSON of `python -m benchmarks`: written after each section, so that a break loses one."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.goals import goals

PARTS = {"machine", "options", "results", "goals"}


class Record:
    """What has been measured so far.

    Parameters
    ----------
    path : Path
        Where it is kept.
    machine : dict
        The facts of `benchmarks.machine`.
    options : dict
        What else decides the figures.
    order : sequence of str
        The sections, as they are told.
    merge : bool
        Whether what the file holds stays, if it is of the same machine, commit and options. If
        not, or if it is of others, it is moved aside when the first section is there.
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
        self._new: list[str] = []
        # As they come back from JSON, so that they can be compared with what does.
        told = json.dumps({"machine": machine, "options": options, "results": {}, "goals": []})
        self.results: dict[str, Any] = json.loads(told)
        self._aside: Path | None = None
        if not path.exists():
            return
        kept = read(path)
        self.differs = [name for name, one in self._same().items() if one != self._same(kept)[name]]
        if merge and not self.differs:
            self.results = kept
        else:
            self._aside = path.with_suffix(f".before{path.suffix}")

    differs: Sequence[str] = ()
    """In what the file's figures are of other circumstances than these."""

    @property
    def starts(self) -> str:
        """What becomes of an earlier file, in one line; empty where there is none."""
        if self._aside is None:
            return ""
        why = f" (different {', '.join(self.differs)})" if self.differs else ""
        return f"a new {self._path} is started{why}; the earlier one becomes {self._aside.name}"

    @property
    def new(self) -> Sequence[str]:
        """The sections added so far."""
        return self._new

    def add(self, name: str, found: dict[str, Any]) -> None:
        """Take in a section and write all there is, in one step."""
        if self._aside is not None:
            self._path.replace(self._aside)
            self._aside = None
        self._new.append(name)
        found = json.loads(json.dumps(found))
        results = {**self.results["results"], name: found}
        self.results["results"] = {one: results[one] for one in self._order if one in results}
        self.results["goals"] = [goal.as_dict() for goal in goals(self.results["results"])]
        self._path.parent.mkdir(parents=True, exist_ok=True)
        beside = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        beside.write_text(json.dumps(self.results, indent=2) + "\n")
        beside.replace(self._path)

    def _same(self, results: dict[str, Any] | None = None) -> dict[str, Any]:
        """What must agree for two sections to stand in one table, by what it is called."""
        results = results or self.results
        machine = dict(results["machine"])
        commit = machine.pop("commit", None), machine.pop("changes", None)
        machine.pop("load", None)
        return {"commit": commit, "machine": machine, "options": results["options"]}


def read(path: Path) -> dict[str, Any]:
    """What a file holds.

    Raises
    ------
    ValueError
        If it cannot be read or is not what `python -m benchmarks` writes, in a few words.
    """
    try:
        results = json.loads(path.read_text())
    except OSError as error:
        raise ValueError((error.strerror or str(error)).lower()) from None
    except ValueError:
        results = None
    if not isinstance(results, dict) or not results.keys() >= PARTS:
        raise ValueError("is not what python -m benchmarks writes")
    return results
