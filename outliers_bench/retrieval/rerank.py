"""Second looks at a ranking: the base of the `rerank=` options."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Rerank:
    """Base of the `rerank=` options; by itself it leaves a ranking as it is.

    Parameters
    ----------
    name : str
        What it is called in tables.
    """

    name: str = "none"

    @property
    def label(self) -> str:
        """What stands in tables; empty where nothing is done."""
        return ""

    @property
    def depth(self) -> int | None:
        """How many of a ranking are needed; None: all."""
        return 0

    def check(self) -> None:
        """Raise `BenchError` for options that cannot work."""
