"""The split of a sweep: its jobs are compared on the same photos, found and cut once."""

from __future__ import annotations

from pathlib import Path

from outliers_bench.data.source import DataSource
from outliers_bench.types import Split


class SharedSplits:
    """Loads splits, and while a sweep goes on gives the last one to whoever asks for the same.

    A job that begins an hour after the first then does not see the photos that were added
    meanwhile, with which its figures could not be compared.
    """

    def __init__(self) -> None:
        self._sharing = False
        self._last: tuple[str, Split] | None = None

    def begin(self) -> None:
        """Share from here on; what was loaded before is forgotten."""
        self._sharing, self._last = True, None

    def end(self) -> None:
        """Load anew from here on."""
        self._sharing, self._last = False, None

    def load(self, source: DataSource, *, seed: int, cache: Path) -> Split:
        """The split of a source; see `DataSource.load`."""
        asked = f"{source!r} {seed}"
        if self._last is not None and self._last[0] == asked:
            return self._last[1]
        split = source.load(seed=seed, cache=cache)
        if self._sharing:
            self._last = asked, split
        return split


splits = SharedSplits()
"""Those of this process."""
