"""What a leaderboard is made of: rows, and boards of rows that were asked the same questions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outliers_bench.config.published import Published

SCORES = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")
TAGS = ("model", "variant", "reduction", "index", "similarity", "rerank")
METHOD = (*TAGS, "settings")
FINISHED = "finished"


@dataclass(frozen=True)
class Row:
    """One method's newest finished run, or a row of a published table that has none.

    Parameters
    ----------
    rank : int or None
        1 for the best; equals share theirs. None for what was not measured.
    name, run_id, experiment_id, fingerprint : str
        The run's name and ids, and the digest of the split it was scored on; empty without a run.
    method : dict of str to str
        Model, its variant, PCA, index, metric and re-ranking, by tag; and as `settings` what else
        tells the run from those that are alike in all of these, such as `seed=1`.
    metrics : dict of str to float
        Every metric of the run that is a finite number, as MLflow has it; none where it did not
        finish.
    tags : mapping of str to str
        Every tag of the run.
    started : int
        When the run began, in milliseconds since 1970; 0 without a run.
    status : str
        `finished`, or in a few words why there are no figures.
    reason : str
        What the run failed of, in full.
    published : Published or None
        The published figures of this row.
    difference, p : float or None
        Mean difference to the best run on the same queries, and its p-value after Holm; None
        where the two were not compared.
    p_at_most : bool
        Whether the p-value is only an upper bound.
    tied : bool or None
        Whether the run cannot be told from the best; None where they were not compared.
    """

    rank: int | None
    name: str
    run_id: str
    fingerprint: str
    method: dict[str, str]
    metrics: dict[str, float]
    experiment_id: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    started: int = 0
    status: str = FINISHED
    reason: str = ""
    published: Published | None = None
    difference: float | None = None
    p: float | None = None
    p_at_most: bool = False
    tied: bool | None = None

    @property
    def measured(self) -> bool:
        """Whether the row has figures."""
        return self.rank is not None

    def interval(self, metric: str) -> tuple[float, float] | None:
        """The 95% interval of a metric, or None where the run carries none."""
        low, high = (self.metrics.get(f"ci95/{metric}_{end}") for end in ("low", "high"))
        return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class Board:
    """The runs on one split, best first, then the rows of the table that were not measured.

    Parameters
    ----------
    data, fingerprint : str
        The data set's name and the digest of the split.
    queries, gallery : int
        How many images are asked, and searched.
    leave_one_out : bool
        Whether these are the same images, each asked against all others.
    rows : tuple of Row
        Best first.
    table : str
        The published table whose rows these are; empty for all runs.
    not_compared : str
        Why some runs, or all, were not compared with the best; empty where all were.
    class_metric : str
        What `per_class` holds.
    per_class : mapping of str to mapping of str to float
        By run id and class, the mean over the queries of that class; of the best runs only.
    class_queries : mapping of str to int
        How many queries each class has.
    """

    data: str
    fingerprint: str
    queries: int
    gallery: int
    rows: tuple[Row, ...]
    table: str = ""
    leave_one_out: bool = False
    not_compared: str = ""
    class_metric: str = ""
    per_class: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    class_queries: Mapping[str, int] = field(default_factory=dict)

    @property
    def measured(self) -> tuple[Row, ...]:
        """The rows with figures, best first."""
        return tuple(row for row in self.rows if row.measured)

    @property
    def best(self) -> tuple[Row, ...]:
        """The rows with the best figure."""
        return tuple(row for row in self.measured if row.rank == 1)

    @property
    def tied(self) -> tuple[Row, ...]:
        """The rows with another figure than the best that cannot be told from it."""
        return tuple(row for row in self.measured if row.tied and row.rank != 1)


def method_of(tags: Mapping[str, str], settings: str = "") -> dict[str, str]:
    """The method of a run with these tags; see `Row`."""
    return {**{name: tags.get(name, "") for name in TAGS}, "settings": settings}


def label(row: Row) -> str:
    """A method in a few words: the run's name, or what was published under which title."""
    if row.name:
        return " · ".join(part for part in (row.name, row.method.get("settings")) if part)
    return "" if row.published is None else row.published.title or row.published.row or ""


def short_labels(rows: Sequence[Row]) -> list[str]:
    """What tells each row from the others: the model alone if it can, else all that differs.

    What a model's variant says is left out where the rest tells the rows apart.
    """
    differing = [name for name in METHOD if len({row.method.get(name, "") for row in rows}) > 1]
    told = _labels(rows, differing or ["model"])
    without = [name for name in differing if name != "variant"]
    for fewer in (["model"], without):
        labels = _labels(rows, fewer) if set(fewer) <= set(differing) and fewer else []
        if len(set(labels)) == len(set(told)):
            return labels
    return told


def _labels(rows: Sequence[Row], used: Sequence[str]) -> list[str]:
    parts = ([_part(name, row.method.get(name, "")) for name in used] for row in rows)
    said = (" · ".join(part for part in of_row if part) for of_row in parts)
    return [words or label(row) for words, row in zip(said, rows, strict=True)]


def _part(name: str, value: str) -> str:
    if name == "reduction":
        return "no PCA" if value == "none" else value
    return value
