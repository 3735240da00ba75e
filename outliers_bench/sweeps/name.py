"""What a sweep is called in MLflow's list of runs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

_LENGTH = 120
_KINDS = ("glob(", "range(", "choice(", "interval(", "shuffle(", "tag(")


def sweep_name(overrides: Sequence[str], swept: Sequence[str], n_jobs: int | None) -> str:
    """Name a sweep after what it varies, which comes first: the list shows little of a name.

    Parameters
    ----------
    overrides : sequence of str
        What stood on the command line.
    swept : sequence of str
        What is swept without standing there, as `key=values`.
    n_jobs : int or None
        How many jobs there will be, where that is known.
    """
    jobs = "" if n_jobs is None else f" · {n_jobs} jobs"
    return _told(overrides, swept)[: _LENGTH - len(jobs)] + jobs


def _told(overrides: Sequence[str], swept: Sequence[str]) -> str:
    told = [override for override in overrides if _is_swept(override)]
    if len(told) == 1 and told[0].startswith("+experiments/"):
        from outliers_bench.config import (
            published,  # and Hydra with it, which nothing else here needs
        )

        table, _, rows = told[0].removeprefix("+experiments/").partition("=")
        named = table + ("" if rows == "glob(*)" else f" {rows}")
        # Its rows with something changed are not the table.
        changes = published.changes(overrides)
        return f"sweep {named} {' '.join(changes)}" if changes else f"table {named}"
    named_files = [o.partition("=")[2] for o in overrides if o.startswith("+experiments=")]
    told = [*(name for name in named_files if "," not in name), *told]
    return f"sweep {' '.join(told or swept) or f'{datetime.now().astimezone():%Y-%m-%d %H:%M}'}"


def _is_swept(override: str) -> bool:
    value = override.partition("=")[2]
    bare = not value.startswith(("[", "{", "'", '"'))
    return bare and ("," in value or value.startswith(_KINDS))
