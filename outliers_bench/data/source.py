"""What every data source is: a config that can load a split."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from outliers_bench.errors import BenchError
from outliers_bench.types import LeftOut, Split


@dataclass
class DataSource:
    """Base of the `data=` options.

    Parameters
    ----------
    name : str or None
        The data set's name in MLflow and the leaderboard; None takes the folder's or file's own.
    max_unreadable : float
        Largest share of images that may be unreadable before the run stops, 0 to 1.
    """

    name: str | None = None
    max_unreadable: float = 0.01

    def load(self, *, seed: int, cache: Path) -> Split:
        """Find the images and cut them into train, query and gallery. Decodes nothing.

        Parameters
        ----------
        seed : int
            Decides which image goes where. The cut depends on content, never on file names.
        cache : Path
            Directory for what need not be worked out again, such as digests of unchanged files.

        Raises
        ------
        BenchError
            If the source is missing, empty, or cannot be cut as asked.
        """
        raise NotImplementedError


def check_unreadable(left_out: Iterable[LeftOut], *, total: int, limit: float) -> None:
    """Stop a run that would go on without too many of its images.

    Parameters
    ----------
    left_out : iterable of LeftOut
        What is left out so far; only the unreadable ones count.
    total : int
        Images in the source, those left out included.
    limit : float
        Largest share of them that may be unreadable.

    Raises
    ------
    BenchError
        If more are unreadable, or the limit is no share.
    """
    if not 0 <= limit <= 1:
        raise BenchError(f"data.max_unreadable={limit}: give a share from 0 to 1")
    unreadable = [item for item in left_out if item.kind == "unreadable"]
    if len(unreadable) <= limit * total:
        return
    first = "; ".join(
        item.detail if item.detail.startswith(item.name) else f"{item.name}: {item.detail}"
        for item in unreadable[:3]
    )
    raise BenchError(
        f"{len(unreadable)} of {total} images ({len(unreadable) / total:.1%}) cannot be read, more "
        f"than the {limit:.1%} allowed ({first}{'; ...' if len(unreadable) > 3 else ''}). Mend or "
        f"remove them, or allow more with data.max_unreadable="
    )
