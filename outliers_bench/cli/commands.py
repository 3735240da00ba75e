"""Commands besides the benchmark, such as `python -m outliers_bench search`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module

from outliers_bench.runtime.command_line import USER_ERROR, instead

COMMANDS = {
    "leaderboard": "compare the finished runs",
    "search": "find the gallery photos of a run that are most like yours",
    "submit": "submit a run's ranking to a competition",
    "competition": "serve a competition that takes rankings and scores them",
    "datasets": "list the data sets known by name",
    "collect": "collect photos from the web into class folders",
    "clean": "find unreadable, tiny, blank and duplicate photos",
    "cache": "list, verify and prune the cache",
}
_MODULES = {
    "leaderboard": "outliers_bench.leaderboard.command",
    "datasets": "outliers_bench.apps.datasets",
}


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run one of `COMMANDS`; return its exit code, or 2 if there is no such command."""
    if name not in COMMANDS:
        hint = f"{instead(name, list(COMMANDS))}; options are given as option=value"
        print(f"error: {name}: no such command{hint}", file=sys.stderr)
        return USER_ERROR
    module = import_module(_MODULES.get(name, f"outliers_bench.apps.{name}.command"))
    return int(module.run(arguments))
