"""Options of the split of a labeled set, and their checks."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from outliers_bench.data.splits.by_time import Dates, parse_date
from outliers_bench.data.splits.by_value import MissingValues
from outliers_bench.errors import BenchError
from outliers_bench.types import ENCOUNTER, GROUP, TIME

RANDOM = "random"
MAX_SPLITS = 100  # of a repeated run
DEFAULT_UNKNOWN = 0.2  # of the individuals, with `open_set`


class Protocol(Enum):
    """Evaluation protocol: the queries, and the images that each is compared with."""

    query_gallery = "query_gallery"
    """Each image is in one of train, query, and gallery."""
    leave_one_out = "leave_one_out"
    """Each image is a query against all others, or those of other groups; there is no train."""


class Setting(Enum):
    """Individuals, that is classes, in the parts; the names are those of wildlife-datasets."""

    closed_set = "closed_set"
    """Individuals are in all parts."""
    open_set = "open_set"
    """Some individuals are only among the queries."""
    disjoint_set = "disjoint_set"
    """The individuals of train are not those of query and gallery."""


@dataclass
class SplitOptions:
    """Options of the split of one labeled set.

    Parameters
    ----------
    train : float
        Share of each class that goes to train, in [0, 1); with `disjoint_set` of all images, as
        whole classes, and by time of the days of each class.
    query : float
        Share of the remaining images (days) that goes to query, in (0, 1). The others are the
        gallery.
    protocol : Protocol
        `leave_one_out` ignores both shares.
    setting : Setting
        Individuals in the parts.
    unknown : float or None
        Share of the classes that are only among the queries, in (0, 1), with `open_set`; None for
        0.2.
    split_by : str
        `random`; `time`, so that queries are later than the gallery, and train earlier; or a column
        whose values each stay in one part. Those of `group` and `encounter` are split for each
        class like single images, those of others, such as camera or site, for all classes at once.
    train_until, gallery_until : str or None
        Date, or date and time. With `split_by=time`, photos taken before `train_until` are train,
        the others taken before `gallery_until` are gallery, and the rest are queries. None: the
        share `train`, or `query`, decides, for each class.
    missing_values : MissingValues
        Handling of images without a value in the column that `split_by` needs.
    folds : int or None
        Number of folds of a cross-validation: every image is a query in one of them, and of the
        others the share `train` of each class is train. None: the share `query` decides.
    fold : int or None
        Fold of the queries, from 0; None for a run on each fold.
    """

    train: float = 0.7
    query: float = 0.5
    protocol: Protocol = Protocol.query_gallery
    setting: Setting = Setting.closed_set
    unknown: float | None = None
    split_by: str = RANDOM
    train_until: str | None = None
    gallery_until: str | None = None
    missing_values: MissingValues = MissingValues.error
    folds: int | None = None
    fold: int | None = None

    def check_split(self) -> None:
        """Raise `BenchError` for options that are out of range or exclude each other."""
        check_shares(train=self.train, query=self.query)
        if self.protocol is Protocol.leave_one_out:
            self.refuse_options("data.protocol=leave_one_out has no parts", all_of_them=True)
        if self.unknown is not None:
            if self.setting is not Setting.open_set:
                raise BenchError(
                    f"data.unknown={self.unknown} is the share of the classes that are only among "
                    "the queries; it needs data.setting=open_set"
                )
            if not 0 < self.unknown < 1:
                raise BenchError(
                    f"data.unknown={self.unknown}: the share of unknown classes is above 0 and "
                    "below 1"
                )
        if self.setting is Setting.disjoint_set and not self.train:
            raise BenchError(
                "data.setting=disjoint_set gives train classes of its own, and data.train=0 has no "
                "train; use data.setting=closed_set"
            )
        if not self.split_by.strip():
            raise BenchError("data.split_by is empty; give random, time, or the name of a column")
        if self.missing_values is not MissingValues.error and self.split_by in (RANDOM, GROUP):
            why = "is not given" if self.split_by == RANDOM else "is group: those without are alone"
            raise BenchError(
                f"data.missing_values={self.missing_values.name} is for the column of "
                f"data.split_by, which {why}"
            )
        if self.missing_values is MissingValues.single and self.split_by == TIME:
            raise BenchError(
                "data.missing_values=single with data.split_by=time: an image without a time is "
                "neither earlier nor later; use data.missing_values=exclude"
            )
        self._check_folds()
        self._check_dates()

    def _check_folds(self) -> None:
        if self.folds is None:
            if self.fold is not None:
                raise BenchError(f"data.fold={self.fold} is one of several folds; give data.folds")
            return
        if not 2 <= self.folds <= MAX_SPLITS:
            raise BenchError(f"data.folds={self.folds}: from 2 to {MAX_SPLITS}")
        if self.fold is not None and not 0 <= self.fold < self.folds:
            raise BenchError(f"data.fold={self.fold}: from 0 to {self.folds - 1}")
        others = {
            f"data.protocol={self.protocol.name}": self.protocol is not Protocol.query_gallery,
            f"data.setting={self.setting.name}": self.setting is not Setting.closed_set,
            f"data.split_by={self.split_by}": self.split_by not in (RANDOM, GROUP, ENCOUNTER),
        }
        for option, is_given in others.items():
            if is_given:
                raise BenchError(
                    f"data.folds={self.folds} splits each class at random; omit {option}"
                )

    def _check_dates(self) -> None:
        dates = self.dates()
        for date, option in zip(dates, ("train_until", "gallery_until"), strict=True):
            if date is not None and self.split_by != TIME:
                raise BenchError(
                    f"data.{option}={getattr(self, option)} is for a split by time; add "
                    "data.split_by=time"
                )
        if dates[0] is not None and dates[1] is not None and dates[0] >= dates[1]:
            raise BenchError(
                f"data.gallery_until={self.gallery_until} is not after data.train_until="
                f"{self.train_until}, so that the gallery is empty; give a later date"
            )

    def dates(self) -> Dates:
        """Return `train_until` and `gallery_until` as moments."""
        one, other = (
            None if text is None else parse_date(text, f"data.{option}")
            for option, text in (
                ("train_until", self.train_until),
                ("gallery_until", self.gallery_until),
            )
        )
        return one, other

    @property
    def is_by_class(self) -> bool:
        """True if each class is split by itself: not at dates, and not by whole values."""
        is_by_date = self.train_until is not None or self.gallery_until is not None
        return not is_by_date and self.split_by in (RANDOM, TIME, GROUP, ENCOUNTER)

    def refuse_options(self, reason: str, *, all_of_them: bool) -> None:
        """Raise `BenchError` if options are given that a ready-made part contradicts.

        Parameters
        ----------
        reason : str
            Why, at the start of the message.
        all_of_them : bool
            Whether query and gallery are given, too, so that nothing is split.
        """
        given = {
            f"setting={self.setting.name}": self.setting is not Setting.closed_set,
            f"train_until={self.train_until}": self.train_until is not None,
            f"split_by={self.split_by}": all_of_them and self.split_by != RANDOM,
        }
        for option, is_given in given.items():
            if is_given:
                raise BenchError(f"{reason}; omit data.{option}, which decides about parts")


def check_shares(*, train: float, query: float) -> None:
    """Raise `BenchError` for shares that leave a part empty; see `make_split`."""
    if not 0 <= train < 1:
        raise BenchError(f"data.train={train}: the share of train is from 0 to below 1")
    if not 0 < query < 1:
        raise BenchError(
            f"data.query={query}: the share of the held-out images that are queries is above 0 and "
            "below 1"
        )
