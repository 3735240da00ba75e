"""What every data source is: a config that can load a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from omegaconf import MISSING

from outliers_bench.data.image_files import absolute
from outliers_bench.data.split import Protocol, check_shares, cut
from outliers_bench.errors import BenchError
from outliers_bench.types import ImageSet, LeftOut, Split

Grouping = Callable[[ImageSet], ImageSet]


class Leakage(Enum):
    """What becomes of photos that stand in two parts of a split, exactly or nearly."""

    report = "report"
    """They stay, and are counted; the scores without them stand beside."""
    drop = "drop"
    """They are taken out; the scores with them stand beside."""
    group = "group"
    """Photos that are nearly the same go to one part when the split is cut."""
    error = "error"
    """The run is refused."""


@dataclass
class DataSource:
    """Base of the `data=` options.

    Parameters
    ----------
    name : str or None
        The data set's name in MLflow and the leaderboard; None takes the folder's or file's own.
    max_unreadable : float
        Largest share of images that may be unreadable before the run stops, 0 to 1.
    leakage : Leakage
        What becomes of photos that stand in two parts, exactly or nearly.
    """

    name: str | None = None
    max_unreadable: float = 0.01
    leakage: Leakage = Leakage.report

    def title(self) -> str:
        """The data set's name as it stands in MLflow; known without loading, and never fails."""
        return self.name or self.own_name() or "data"

    def own_name(self) -> str:
        """What the data set is called where the user gives no name; may be empty."""
        return ""

    def address(self) -> str | None:
        """Where on the web the photos come from; None where they lie on this machine."""
        return None

    def check(self) -> None:
        """Raise `BenchError` if an option is out of range; touches no file."""
        if not 0 <= self.max_unreadable <= 1:
            raise BenchError(f"data.max_unreadable={self.max_unreadable}: give a share from 0 to 1")

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Find the images and cut them into train, query and gallery. Decodes nothing.

        Parameters
        ----------
        seed : int
            Decides which image goes where. The cut depends on content, never on file names.
        cache : Path
            Directory for what need not be worked out again, such as digests of unchanged files.
        group : callable or None
            Puts photos that are nearly the same into one group, for `leakage=group`; see
            `leakage.policy.load_split`, which gives it.

        Raises
        ------
        BenchError
            If an option is out of range, or the source is missing, empty, or cannot be cut as
            asked.
        """
        raise NotImplementedError


@dataclass
class CutSource(DataSource):
    """A source of labeled images that are cut by us.

    Parameters
    ----------
    train, query : float
        Shares; see `cut`.
    protocol : Protocol
        See `cut`.
    """

    train: float = 0.7
    query: float = 0.5
    protocol: Protocol = Protocol.query_gallery

    def check(self) -> None:
        """See `DataSource.check`."""
        super().check()
        check_shares(train=self.train, query=self.query)
        if self.leakage is Leakage.group and self.protocol is Protocol.leave_one_out:
            raise BenchError(
                "data.leakage=group puts photos that are nearly the same into one part, and "
                "data.protocol=leave_one_out has no parts; use data.leakage=drop"
            )

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Collect the images and cut them; see `DataSource.load`."""
        self.check()
        images, left_out = self.collect(cache)
        return self.cut(images, left_out, seed=seed, group=group)

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """All readable images with their labels, and those that are none of them.

        Parameters
        ----------
        cache : Path
            See `load`.
        """
        raise NotImplementedError

    def cut(
        self,
        images: ImageSet,
        left_out: Sequence[LeftOut],
        *,
        seed: int,
        group: Grouping | None = None,
    ) -> Split:
        """Cut images as the options say; see `cut` and `Leakage`."""
        if self.leakage is Leakage.group:
            if group is None:
                raise ValueError("leakage=group needs a grouping; see leakage.policy.load_split")
            images = group(images)
        return cut(
            images,
            name=self.title(),
            train=self.train,
            query=self.query,
            protocol=self.protocol,
            seed=seed,
            left_out=left_out,
        )


def folder_name(root: str) -> str:
    """The name of the folder an option gives, links followed; empty where it is not given."""
    if root in ("", MISSING):
        return ""
    try:
        return absolute(root).resolve().name
    except (OSError, RuntimeError, ValueError):  # a link in a circle, a null character
        return ""


def check_unreadable(left_out: Iterable[LeftOut], *, total: int, limit: float) -> None:
    """Stop a run that would go on without too many of its images.

    Parameters
    ----------
    left_out : iterable of LeftOut
        What is left out so far. Only the unreadable images count; those of a kind that is not read
        are no part of the total either.
    total : int
        Images in the source, those left out included.
    limit : float
        Largest share of them that may be unreadable.

    Raises
    ------
    BenchError
        If more are unreadable; names the share that would do.
    """
    left_out = list(left_out)
    unreadable = [item for item in left_out if item.kind == "unreadable"]
    total -= sum(item.kind == "unsupported" for item in left_out)
    if not unreadable or len(unreadable) / total <= limit:
        return
    first = "; ".join(
        item.detail if item.detail.startswith(item.name) else f"{item.name}: {item.detail}"
        for item in unreadable[:3]
    )
    enough = math.ceil(1000 * len(unreadable) / total) / 1000
    allow = "" if enough == 1 else f", or allow more with data.max_unreadable={enough}"
    raise BenchError(
        f"{len(unreadable)} of {total} images ({len(unreadable) / total:.1%}) cannot be read, more "
        f"than the {limit:.1%} allowed ({first}{'; ...' if len(unreadable) > 3 else ''}). Mend or "
        f"remove them{allow}"
    )
