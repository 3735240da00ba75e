"""Commands beside the benchmark, by the word that calls them: `python -m outliers_bench search`."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

COMMANDS = {
    "leaderboard": "compare the finished runs",
    "search": "find the gallery photos of a run that are most like yours",
    "submit": "submit a run's ranking to a competition",
    "competition": "serve a competition that takes rankings and scores them",
    "datasets": "list the data sets known by name",
    "collect": "collect photos from the web into class folders",
    "clean": "find unreadable, tiny, blank and duplicate photos",
}
_MODULES = {
    "leaderboard": "outliers_bench.leaderboard.command",
    "datasets": "outliers_bench.apps.datasets",
}


def run_command(name: str, arguments: Sequence[str]) -> int:
    """Run one of `COMMANDS`.

    Parameters
    ----------
    name : str
        One of `COMMANDS`.
    arguments : sequence of str
        The rest of the command line.

    Returns
    -------
    int
        Exit code.
    """
    module = import_module(_MODULES.get(name, f"outliers_bench.apps.{name}.command"))
    return int(module.run(arguments))
