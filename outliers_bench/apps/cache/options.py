"""Options of `python -m outliers_bench.cache`."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from outliers_bench.apps.cache.entries import KINDS, NOT_PRUNED
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import instead

_SECONDS = {"h": 3600.0, "d": 86400.0, "w": 604800.0}
_BYTES = {"MB": 1e6, "GB": 1e9, "TB": 1e12, "MiB": 2.0**20, "GiB": 2.0**30, "TiB": 2.0**40}


@dataclass
class Cache:
    """List what the cache contains, verify its checksums, or remove what was not used for long.
    Nothing is changed without apply=true; what is removed is computed again when it is needed.

    Exit code 0: no damage; 1: damaged files that remain in the cache; 2: an error.

    Parameters
    ----------
    verify : bool
        Compare all files with their checksums; apply=true removes damaged ones, and keeps the
        intact rows of feature files.
    older_than : str or None
        Prune what was not used for this time, such as 12h, 90d or 8w.
    max_size : str or None
        Prune what was used least recently until the cache has this size, such as 500MB or 20GB.
    kinds : list of str
        Kinds to list, verify and prune, such as [features,models]; empty means all. Data sets and
        runs that are not in MLflow yet are never removed.
    apply : bool
        Remove or repair files; otherwise only show which.
    cache : str or None
        Cache folder; null is $OUTLIERS_BENCH_CACHE, or ~/.cache/outliers_bench.
    """

    verify: bool = False
    older_than: str | None = None
    max_size: str | None = None
    kinds: list[str] = field(default_factory=list)
    apply: bool = False
    cache: str | None = None

    def check(self) -> None:
        """Raise `BenchError` if an option is malformed or contradicts another one."""
        for kind in self.kinds:
            if kind not in KINDS:
                raise BenchError(
                    f"kinds={kind}: no kind of file in the cache{instead(kind, list(KINDS))}"
                )
        prunes = self.older_than is not None or self.max_size is not None
        if self.verify and prunes:
            raise BenchError("verify=true and pruning are two steps; give one of them")
        if self.apply and not self.verify and not prunes:
            raise BenchError("apply=true needs verify=true, older_than=90d or max_size=20GB")
        if prunes and self.kinds and set(self.kinds) <= NOT_PRUNED:
            raise BenchError(f"kinds={','.join(self.kinds)}: never removed; delete it by hand")
        self.max_age()
        self.max_bytes()

    def max_age(self) -> float | None:
        """Return `older_than` in seconds."""
        return _measure("older_than", self.older_than, _SECONDS, "90d")

    def max_bytes(self) -> float | None:
        """Return `max_size` in bytes."""
        return _measure("max_size", self.max_size, _BYTES, "20GB")


def _measure(option: str, text: str | None, units: dict[str, float], example: str) -> float | None:
    if text is None:
        return None
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?([A-Za-z]+)", text.strip())
    if match is None or match[2] not in units:
        raise BenchError(
            f"{option}={text}: give a number and one of {', '.join(units)}, such as {example}"
        )
    return float(match[1]) * units[match[2]]
