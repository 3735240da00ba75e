"""What every data source is: a config that can load a split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from outliers_bench.types import Split


@dataclass
class DataSource:
    """Base of the `data=` options.

    Parameters
    ----------
    name : str
        The data set's name in MLflow and the leaderboard.
    max_unreadable : float
        Largest share of images that may be unreadable before the run stops, 0 to 1.
    """

    name: str
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
