"""Boards of a leaderboard: rows of runs that were scored on the same split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.entities import Run

    from outliers_bench.config.published import Published

SCORES = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")
TAGS = ("model", "variant", "reduction", "index", "similarity", "rerank")
METHOD = (*TAGS, "settings")
FINISHED = "finished"


@dataclass(frozen=True)
class Row:
    """Newest finished run of a method, or a row of a published table without a finished run."""

    rank: int | None = None  # by the metric, from 1, shared by equals; None if not measured
    name: str = ""
    run_id: str = ""
    experiment_id: str = ""
    # Model, variant, reduction, index, similarity and re-ranking, by tag; and as `settings` the
    # options, such as `seed=1`, in which runs with the same tags differ.
    method: Mapping[str, str] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)  # finite ones, as in MLflow
    tags: Mapping[str, str] = field(default_factory=dict)
    started: int = 0  # milliseconds since 1970
    status: str = FINISHED  # or a short reason why there are no figures
    reason: str = ""  # full error message of a failed run
    published: Published | None = None
    # Mean difference to the best run on the same queries, and its p-value, adjusted for the number
    # of runs and the choice of the best; None if the two were not compared.
    difference: float | None = None
    p: float | None = None
    p_at_most: bool = False  # whether p is only an upper bound
    tied: bool | None = None  # whether the difference is not significant

    @property
    def is_measured(self) -> bool:
        """True if the row has measured figures."""
        return self.rank is not None

    def interval(self, metric: str) -> tuple[float, float] | None:
        """Return the 95% interval of a metric; None if the run has none."""
        low, high = (self.metrics.get(f"ci95/{metric}_{end}") for end in ("low", "high"))
        return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class Board:
    """Runs on the same split, best first, then rows of the table without measured figures."""

    data: str
    fingerprint: str  # digest of the split
    queries: int
    gallery: int  # number of images
    rows: tuple[Row, ...]
    table: str = ""  # published table; empty for a board of all runs
    splits: int = 1  # of repeated runs, whose queries are those of all splits
    is_validation: bool = False  # whether the queries are validation queries
    leave_one_out: bool = False  # whether each query is searched among the other queries
    not_compared: str = ""  # reason why runs were not compared with the best
    cluster: str = ""  # unit of the clusters in the comparison; empty if nothing was compared
    clusters: int = 0  # and their number
    # Difference that the queries can show, between the best run and the next that differs from it.
    smallest_difference: float | None = None
    older_mrr: int = 0  # runs whose MRR is of an earlier definition, and left out
    class_metric: str = ""  # metric of `per_class`
    # Mean over the queries of each class, and their number, by run id and class; of the best runs.
    per_class: Mapping[str, Mapping[str, tuple[float, int]]] = field(default_factory=dict)

    @property
    def measured_rows(self) -> tuple[Row, ...]:
        """Rows with measured figures, best first."""
        return tuple(row for row in self.rows if row.is_measured)

    @property
    def best_rows(self) -> tuple[Row, ...]:
        """Rows with the best figure."""
        return tuple(row for row in self.measured_rows if row.rank == 1)

    @property
    def tied_rows(self) -> tuple[Row, ...]:
        """Rows whose figure is lower than the best, but not significantly."""
        return tuple(row for row in self.measured_rows if row.tied and row.rank != 1)


def row_of(run: Run, *, settings: str = "", **more: Any) -> Row:  # noqa: ANN401 - fields of Row
    """Return a row of a run, without its metrics; see `Row` for the other arguments."""
    tags = run.data.tags
    return Row(
        name=run.info.run_name or run.info.run_id,
        run_id=run.info.run_id,
        experiment_id=str(run.info.experiment_id),
        method={**{name: tags.get(name, "") for name in TAGS}, "settings": settings},
        tags=dict(tags),
        started=int(run.info.start_time or 0),
        **more,
    )


def row_label(row: Row) -> str:
    """Return a short label: the name of the run, or the title of the published row."""
    if row.name:
        return " · ".join(part for part in (row.name, row.method.get("settings")) if part)
    return published_title(row)


def published_title(row: Row) -> str:
    """Return the title of a published row; empty for other runs."""
    return "" if row.published is None else row.published.title or row.published.row or ""


def short_labels(rows: Sequence[Row]) -> list[str]:
    """Return labels with only the parts in which the rows differ.

    The model alone is used if that makes the labels unique; the variant is omitted if the other
    parts do.
    """
    differing = [name for name in METHOD if len({row.method.get(name, "") for row in rows}) > 1]
    full = _join_parts(rows, differing or ["model"])
    without_variant = [name for name in differing if name != "variant"]
    for fewer in (["model"], without_variant):
        labels = _join_parts(rows, fewer) if set(fewer) <= set(differing) and fewer else []
        if len(set(labels)) == len(set(full)):
            return labels
    return full


def _join_parts(rows: Sequence[Row], names: Sequence[str]) -> list[str]:
    parts = ([_part(name, row.method.get(name, "")) for name in names] for row in rows)
    labels = (" · ".join(part for part in row_parts if part) for row_parts in parts)
    return [label or row_label(row) for label, row in zip(labels, rows, strict=True)]


def _part(name: str, value: str) -> str:
    if name == "reduction":
        return "no reduction" if value == "none" else value
    return value
