"""The split of a sweep: its jobs are compared on the same photos, found, cut and audited once."""

from __future__ import annotations

from pathlib import Path

from outliers_bench.data.source import DataSource
from outliers_bench.leakage.policy import AuditedSplit, audit, load_split
from outliers_bench.types import Split


class SharedSplits:
    """Loads splits, and while a sweep goes on gives the last one to whoever asks for the same.

    A job that begins an hour after the first then does not see the photos that were added
    meanwhile, with which its figures could not be compared.
    """

    def __init__(self) -> None:
        self._sharing = False
        self._given: tuple[str, Split] | None = None
        self._last: tuple[str, AuditedSplit] | None = None

    def begin(self) -> None:
        """Share from here on; what was loaded before is forgotten."""
        self._sharing, self._given, self._last = True, None, None

    def end(self) -> None:
        """Load anew from here on."""
        self._sharing, self._given, self._last = False, None, None

    def load(self, source: DataSource, *, seed: int, cache: Path) -> Split:
        """The split of a source, as it is ranked; see `audited`."""
        return self.audited(source, seed=seed, cache=cache).split

    def given(self, source: DataSource, *, seed: int, cache: Path) -> Split:
        """The split of a source before its audit, which may decode; see `DataSource.load`."""
        asked = _asked(source, seed)
        if self._given is not None and self._given[0] == asked:
            return self._given[1]
        split = load_split(source, seed=seed, cache=cache)
        if self._sharing:
            self._given = asked, split
        return split

    def audited(
        self, source: DataSource, *, seed: int, cache: Path, given: Split | None = None
    ) -> AuditedSplit:
        """The split of a source and what leaks in it; see `audit`.

        Parameters
        ----------
        source : DataSource
        seed : int
        cache : Path
            See `DataSource.load`.
        given : Split or None
            What `given` has given; None loads it.
        """
        asked = _asked(source, seed)
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        split = self.given(source, seed=seed, cache=cache) if given is None else given
        audited = audit(split, source.leakage, cache=cache)
        if self._sharing:
            self._last = asked, audited
        return audited


def _asked(source: DataSource, seed: int) -> str:
    return f"{source!r} {seed}"


splits = SharedSplits()
"""Those of this process."""
