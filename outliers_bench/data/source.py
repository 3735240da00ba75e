"""Base of the data sources: configs that load a split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path
from typing import Self

from omegaconf import MISSING

from outliers_bench.data.digests import digest_files
from outliers_bench.data.groups import Folders, GroupRule, folders_of
from outliers_bench.data.image_files import FileReader, absolute_path
from outliers_bench.data.labels import MissingLabels
from outliers_bench.data.photo_times import with_times
from outliers_bench.data.split import make_split
from outliers_bench.data.splits.options import MAX_SPLITS, Protocol, SplitOptions
from outliers_bench.data.table import Row, Table, exclude_unlabeled
from outliers_bench.data.validation import Evaluated, check_validation
from outliers_bench.errors import BenchError
from outliers_bench.runtime.option_roles import PLACE
from outliers_bench.types import TIME, ImageSet, LeftOut, Split

Grouping = Callable[[ImageSet], ImageSet]


class Leakage(Enum):
    """Handling of leakage: photos that are in two parts of a split, exactly or nearly."""

    report = "report"
    """They stay and are counted; the scores without them are reported next to the others."""
    drop = "drop"
    """They are removed; the scores with them are reported next to the others."""
    group = "group"
    """Near duplicates are put into the same part when the images are split."""
    error = "error"
    """The run ends with an error."""


@dataclass
class DataSource:
    """Base of the `data=` options.

    Parameters
    ----------
    name : str or None
        Name of the data set in MLflow and on the leaderboard; None for the folder's or file's name.
    max_unreadable : float
        Maximum share of unreadable images, 0 to 1; the run stops if more are unreadable.
    leakage : Leakage
        Handling of photos that are in two parts, exactly or nearly.
    missing_labels : MissingLabels
        Handling of images whose label is missing: empty, NA, unknown and the like.
    group : str or None
        Images that stay in one part: those with the same value of a column, in one folder, with
        the same text in their path, or of one day; see `GroupRule`.
    encounter_gap : str or None
        Time such as 10min, 30s or 1d: makes the column `encounter` of photos of one label and one
        camera that follow each other within it. They stay in one part unless `group` says
        otherwise.
    exclude_same : list of str
        Columns such as camera and encounter: gallery images with the query's label and its value of
        any of them do not count for it; see `exclude_same_values`.
    validation : float or None
        Share of the queries that are validation queries; see `validation.choose_validation`. None
        is 0, and 0.2 in a search.
    evaluate : Evaluated or None
        Queries that are ranked. None: the validation queries in the jobs of a sweep with a
        validation part, and else the others.
    repeats : int
        Number of random splits; above 1, a run is one on each of them, see `sweeps.repeats`.
    split_seed : int or None
        Seed of the split alone; None for the seed of the run.
    """

    name: str | None = field(default=None, metadata=PLACE)
    max_unreadable: float = field(default=0.01, metadata=PLACE)
    leakage: Leakage = Leakage.report
    missing_labels: MissingLabels = MissingLabels.error
    group: str | None = None
    encounter_gap: str | None = None
    exclude_same: list[str] = field(default_factory=list)
    validation: float | None = None
    evaluate: Evaluated | None = None
    split_seed: int | None = None
    repeats: int = 1

    def title(self) -> str:
        """Return the data set's name in MLflow; works without loading the data and never fails."""
        return self.name or self.default_name() or "data"

    def default_name(self) -> str:
        """Return the data set's name if the user gives none; may be empty."""
        return ""

    def source_url(self) -> str | None:
        """Return the web address of the photos' origin; None for local photos."""
        return None

    def check(self) -> None:
        """Raise `BenchError` if an option is out of range; accesses no file."""
        if not 0 <= self.max_unreadable <= 1:
            raise BenchError(f"data.max_unreadable={self.max_unreadable}: give a share from 0 to 1")
        self.group_rule().check()
        if not 1 <= self.repeats <= MAX_SPLITS:
            raise BenchError(f"data.repeats={self.repeats}: from 1 to {MAX_SPLITS} splits")
        if self.repeats > 1 and self.split_seed is not None:
            raise BenchError(
                f"data.repeats={self.repeats}: the splits have seeds from 0; omit data.split_seed"
            )
        if self.split_seed is not None and not 0 <= self.split_seed < 2**32:
            raise BenchError(f"data.split_seed={self.split_seed}: a seed is from 0 to {2**32 - 1}")
        check_validation(self.validation, self.evaluate, self.option_of_splits())

    def group_rule(self) -> GroupRule:
        """Return the rule by which images are one group."""
        return GroupRule(self.group, self.encounter_gap)

    def add_groups(
        self, parts: Sequence[ImageSet], cache: Path, folders: Folders | None = None
    ) -> list[ImageSet]:
        """Return the parts with the columns that the options ask for; see `GroupRule.apply`.

        `folders` are those of a path that `data.group` counts; all by default.
        """
        return self.group_rule().apply(
            parts, folders=folders or folders_of, cache=cache, place=self.title()
        )

    def each_split(self) -> list[Self]:
        """Return the sources of the splits of a repeated run; of a single run this one."""
        if self.repeats == 1:
            return [self]
        return [replace(self, repeats=1, split_seed=seed) for seed in range(self.repeats)]

    def option_of_splits(self) -> str:
        """Return the option that makes several splits; empty for one."""
        name, number = "repeats" if self.repeats > 1 else "folds", len(self.each_split())
        return f"data.{name}={number}" if number > 1 else ""

    def seed_of_split(self, seed: int) -> int:
        """Return the seed that decides on the split, given that of the run."""
        return seed if self.split_seed is None else self.split_seed

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Find the images and split them into train, query, and gallery. Decodes nothing.

        Parameters
        ----------
        seed : int
            Decides the part of each image. The split depends on content, never on file names.
        cache : Path
            Cache directory, for example for digests of unchanged files.
        group : callable or None
            Puts near duplicates into one group, for `leakage=group`; given by
            `leakage.policy.load_split`.

        Raises
        ------
        BenchError
            If an option is out of range, or the source is missing, empty, or cannot be split as
            requested.
        """
        raise NotImplementedError

    def read_table(
        self,
        rows: Sequence[Row],
        root: Path,
        cache: Path,
        left_out: Sequence[LeftOut] = (),
        *,
        of_table: bool = False,
    ) -> Table:
        """Compute the digests of image files, with names relative to a root.

        `left_out` are excluded already; `of_table` means that the rows are in the order of a table
        of the user. Raises `BenchError` if labels are missing or too many images are unreadable.
        """
        names = [row.name for row in rows]
        rows, unlabeled = self.exclude_unlabeled(rows)
        digests, unreadable = digest_files(root, [row.name for row in rows], cache=cache)
        check_unreadable(unreadable, total=len(rows), limit=self.max_unreadable)
        readable = tuple(row for row in rows if row.name in digests)
        return Table(
            rows=readable,
            digests=tuple(digests[row.name] for row in readable),
            reader=FileReader(root, tuple(names if of_table else sorted(names)), not of_table),
            left_out=(*left_out, *unlabeled, *unreadable),
        )

    def exclude_unlabeled(self, rows: Sequence[Row]) -> tuple[list[Row], list[LeftOut]]:
        """Exclude or refuse images without a label; see `table.exclude_unlabeled`."""
        return exclude_unlabeled(rows, self.missing_labels, name=self.title())


@dataclass
class LabeledSource(DataSource, SplitOptions):
    """A source of labeled images that the benchmark splits; see `SplitOptions`."""

    def check(self) -> None:
        """See `DataSource.check`."""
        self.check_split()
        super().check()
        if self.repeats > 1 and self.folds is not None:
            raise BenchError(
                f"data.repeats={self.repeats} data.folds={self.folds}: give only one of them"
            )
        if self.leakage is Leakage.group and self.protocol is Protocol.leave_one_out:
            raise BenchError(
                "data.leakage=group puts near duplicates into one part, and "
                "data.protocol=leave_one_out has no parts; use data.leakage=drop"
            )

    def each_split(self) -> list[Self]:
        """See `DataSource.each_split`."""
        if self.folds is None or self.fold is not None:
            return super().each_split()
        return [replace(self, fold=fold) for fold in range(self.folds)]

    def load(self, *, seed: int, cache: Path, group: Grouping | None = None) -> Split:
        """Collect the images and split them; see `DataSource.load`."""
        self.check()
        images, left_out = self.collect(cache)
        (images,) = self.add_groups([images], cache)
        return self.make_split(images, left_out, seed=seed, group=group)

    def collect(self, cache: Path) -> tuple[ImageSet, Sequence[LeftOut]]:
        """Return all readable images with their labels, and the excluded ones."""
        raise NotImplementedError

    def add_groups(
        self, parts: Sequence[ImageSet], cache: Path, folders: Folders | None = None
    ) -> list[ImageSet]:
        """Return the parts with the columns that the options ask for; see `DataSource.add_groups`.

        That is the column time for a split by time, too.
        """
        parts = super().add_groups(parts, cache, folders)
        if self.split_by == TIME:
            parts = with_times(
                parts, cache=cache, place=self.title(), needed_by="data.split_by=time"
            )
        return parts

    @property
    def needs_time(self) -> bool:
        """True if an option needs times of all or some images."""
        return self.group_rule().needs_time or self.split_by == TIME

    def make_split(
        self,
        images: ImageSet,
        left_out: Sequence[LeftOut],
        *,
        seed: int,
        group: Grouping | None = None,
    ) -> Split:
        """Split images as configured by the options; see `split.make_split` and `Leakage`."""
        if self.leakage is Leakage.group:
            if group is None:
                raise ValueError("leakage=group needs a grouping; see leakage.policy.load_split")
            images = group(images)
        split = make_split(images, self, name=self.title(), seed=seed, left_out=left_out)
        return replace(split, drawn=True)


def folder_name(root: str) -> str:
    """Return the name of an option's folder, with links resolved; empty without a value."""
    if root in ("", MISSING):
        return ""
    try:
        return absolute_path(root).resolve().name
    # A cycle of links, a null character, the home of nobody.
    except (OSError, RuntimeError, ValueError, BenchError):
        return Path(root).name


def check_unreadable(left_out: Iterable[LeftOut], *, total: int, limit: float) -> None:
    """Raise `BenchError` if too many images are unreadable; it says which share is needed.

    Of the excluded images, only unreadable ones count. Those that were not opened are not part of
    the total, the number of images in the source, either.
    """
    left_out = list(left_out)
    unreadable = [item for item in left_out if item.kind == "unreadable"]
    total -= sum(not item.is_candidate for item in left_out)
    if not unreadable or len(unreadable) / total <= limit:
        return
    first = "; ".join(f"{item.name}: {item.detail}" for item in unreadable[:3])
    needed = math.ceil(1000 * len(unreadable) / total) / 1000
    allow = "" if needed == 1 else f", or allow more with data.max_unreadable={needed}"
    raise BenchError(
        f"{len(unreadable)} of {total} images ({len(unreadable) / total:.1%}) cannot be read, more "
        f"than the {limit:.1%} allowed ({first}{'; ...' if len(unreadable) > 3 else ''}). "
        f"Repair or remove them{allow}"
    )
