"""Splits shared by the jobs of a sweep: loaded, split, and audited once."""

from __future__ import annotations

from pathlib import Path
from typing import TypeAlias

from outliers_bench.data.source import DataSource
from outliers_bench.leakage.policy import AuditedSplit, audit, load_split
from outliers_bench.types import Split

_Request: TypeAlias = tuple[DataSource, int]  # source and seed; equal options are equal sources


class SharedSplits:
    """Loader of splits that returns the last split again for the same request during a sweep.

    A job that starts an hour after the first one then does not see photos that were added in the
    meantime, which would make its metrics incomparable.
    """

    def __init__(self) -> None:
        self._sharing = False
        self._unaudited: tuple[_Request, Split] | None = None
        self._audited: tuple[_Request, AuditedSplit] | None = None

    def begin(self) -> None:
        """Start sharing; earlier splits are forgotten."""
        self._sharing, self._unaudited, self._audited = True, None, None

    def end(self) -> None:
        """Stop sharing; later calls load again."""
        self._sharing, self._unaudited, self._audited = False, None, None

    def load(self, source: DataSource, *, seed: int, cache: Path) -> Split:
        """Return the split of a source to rank; see `load_audited`."""
        return self.load_audited(source, seed=seed, cache=cache).split

    def load_unaudited(self, source: DataSource, *, seed: int, cache: Path) -> Split:
        """Return the split of a source before its audit; see `DataSource.load`."""
        key = source, seed
        if self._unaudited is not None and self._unaudited[0] == key:
            return self._unaudited[1]
        split = load_split(source, seed=seed, cache=cache)
        if self._sharing:
            self._unaudited = key, split
        return split

    def load_audited(
        self, source: DataSource, *, seed: int, cache: Path, unaudited: Split | None = None
    ) -> AuditedSplit:
        """Return the split of a source with the leakage in it; see `audit`.

        Parameters
        ----------
        source : DataSource
            The data source.
        seed : int
            See `DataSource.load`.
        cache : Path
            See `DataSource.load`.
        unaudited : Split or None
            Split returned by `load_unaudited`; None to load it.
        """
        key = source, seed
        if self._audited is not None and self._audited[0] == key:
            return self._audited[1]
        split = unaudited
        if split is None:
            split = self.load_unaudited(source, seed=seed, cache=cache)
        audited = audit(split, source.leakage, cache=cache)
        if self._sharing:
            self._audited = key, audited
        return audited


splits = SharedSplits()
"""The shared splits of this process."""
