"""Names of sweeps in MLflow's list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

_MAX_LENGTH = 120
_KINDS = ("glob(", "range(", "choice(", "interval(", "shuffle(", "tag(")


def sweep_name(overrides: Sequence[str], swept: Sequence[str], n_jobs: int | None) -> str:
    """Return the name of a sweep, which begins with the options that it varies.

    Parameters
    ----------
    overrides : sequence of str
        Overrides on the command line.
    swept : sequence of str
        Swept options that are not on the command line, as `key=values`.
    n_jobs : int or None
        Number of jobs, if it is known.
    """
    jobs = "" if n_jobs is None else f" · {n_jobs} jobs"
    return _describe(overrides, swept)[: _MAX_LENGTH - len(jobs)] + jobs


def _describe(overrides: Sequence[str], swept: Sequence[str]) -> str:
    varied = [override for override in overrides if _is_swept(override)]
    if len(varied) == 1 and varied[0].startswith("+experiments/"):
        from outliers_bench.config import published_tags  # imported late, as it imports Hydra

        table, _, rows = varied[0].removeprefix("+experiments/").partition("=")
        name = table + ("" if rows == "glob(*)" else f" {rows}")
        # With other changes the runs are not rows of the table.
        changes = published_tags.changes(overrides)
        return f"sweep {name} {' '.join(changes)}" if changes else f"table {name}"
    experiments = [o.partition("=")[2] for o in overrides if o.startswith("+experiments=")]
    varied = [*(name for name in experiments if "," not in name), *varied]
    return f"sweep {' '.join(varied or swept) or f'{datetime.now().astimezone():%Y-%m-%d %H:%M}'}"


def _is_swept(override: str) -> bool:
    value = override.partition("=")[2]
    is_bare = not value.startswith(("[", "{", "'", '"'))
    return is_bare and ("," in value or value.startswith(_KINDS))
