"""Result of a run in Python: scores as numbers, tables and pictures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from outliers_bench import result
from outliers_bench.config.schema import Config
from outliers_bench.data.in_memory import Vectors
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import evaluate as evaluate_ranking
from outliers_bench.evaluation.choose_clusters import AUTO, cluster_texts
from outliers_bench.evaluation.evaluate import Evaluation
from outliers_bench.evaluation.statistics import add_statistics, cluster_unit
from outliers_bench.tracking.params import describe_method
from outliers_bench.types import RGB, Ranking, Split

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, eq=False, kw_only=True)
class Result(result.Result):
    """Outcome of a run. In a notebook it shows scores with 95% intervals and a contact sheet.

    Parameters
    ----------
    config : Config
        Options of the run, resolved.
    """

    config: Config

    @property
    def name(self) -> str:
        """Model, reduction, index, metric and re-ranking, as in tables."""
        return str(describe_method(self.config))

    @property
    def metrics(self) -> dict[str, float]:
        """All numbers of the run by their names in MLflow: scores first, then counts and costs."""
        from outliers_bench.tracking.log_result import collect_metrics

        return collect_metrics(self)

    def frame(self, by: Literal["metric", "class", "query"] = "metric") -> pd.DataFrame:
        """Return the scores as a table; see `Evaluation.frame`.

        By query, it also has `name`, the `cluster` that intervals resample (empty if the query is
        one), and the other columns of the images, such as camera and time.

        Raises
        ------
        BenchError
            If the photos have no labels.
        """
        if self.evaluation is None:
            raise BenchError(f"{self.split.name} has no labels, so nothing was scored")
        frame = self.evaluation.frame(by)
        if by != "query":
            return frame
        from outliers_bench.tracking.artifacts import query_columns

        query, rows = self.split.query, self.evaluation.scored
        described = query_columns(query, rows, taken=("name", "cluster", *frame.columns))
        frame.insert(0, "name", [query.names[row] for row in rows])
        texts = cluster_texts(self.split, cluster_unit(self.evaluation), rows)
        frame.insert(1, "cluster", texts)
        return frame.assign(**{name: list(values) for name, values in described.items()})

    def sheets(self, *, queries: int = 6, depth: int = 10) -> dict[str, RGB]:
        """Draw contact sheets: queries, each next to the gallery images found for it.

        Parameters
        ----------
        queries, depth : int
            Numbers of rows, and of gallery images in a row.

        Returns
        -------
        dict of str to array of uint8, shape (height, width, 3)
            `best`, `typical` and `worst`, or `sample` without labels; empty without images.
        """
        from outliers_bench.reports.contact_sheet import draw_contact_sheets

        if isinstance(self.split.gallery.reader, Vectors):
            return {}
        seed, captions = self.config.seed, self.config.contact_sheets.captions
        return draw_contact_sheets(self, queries=queries, depth=depth, seed=seed, captions=captions)

    def show(self) -> None:
        """Display the result in a notebook; elsewhere, print its scores."""
        ipython = sys.modules.get("IPython")  # imported where it runs
        if ipython is not None and ipython.get_ipython() is not None:
            ipython.display.display(self)
        else:
            print(self)

    def __str__(self) -> str:
        from outliers_bench.reports.data_summary import data_rows
        from outliers_bench.reports.numbers import statistics_rows
        from outliers_bench.reports.terminal import format_metrics, format_rows

        rows = [*statistics_rows(self.evaluation), *data_rows(self.split)]
        lines = ["No labels, so nothing was scored."]
        if self.evaluation is not None:
            lines = format_metrics(self.evaluation.metrics, self.evaluation.intervals)
        title = f"{self.name}  on  {self.split.name}"
        return "\n".join([title, *lines, "", *format_rows(rows)])

    def __repr__(self) -> str:
        return f"<Result {self.name} on {self.split.name}>"

    def _repr_html_(self) -> str:
        from outliers_bench.reports.notebook import result_html

        sheets = self.sheets(queries=min(3, max(1, self.config.contact_sheets.queries)))
        return result_html(
            self, self.name, {n: sheet for n, sheet in sheets.items() if n in ("typical", "sample")}
        )


def evaluate(
    ranking: Ranking,
    split: Split,
    *,
    k: Sequence[int] | None = None,
    seed: int = 0,
    cluster: str = AUTO,
) -> Evaluation:
    """Score a ranking, with 95% intervals.

    Parameters
    ----------
    ranking : Ranking
        From `search`, or any other: rows in the order of `split.query`.
    split : Split
        With labels.
    k : sequence of int, optional
        Cutoffs; by default those of the command line that the ranking is deep enough for.
    seed : int
        Seed of the intervals.
    cluster : str
        Clusters of queries that the intervals resample: `query`, `label`, or a column of the
        queries; by default chosen as in a run.

    Returns
    -------
    Evaluation
        `metrics`, `per_query`, `per_class`, `balanced`, `chance`, `intervals`, `clusters`, and
        `frame()`. Only metrics that the given ranks decide on for every query: mAP and mINP need
        all relevant images, so that of a ranking that is cut they are absent.

    Raises
    ------
    BenchError
        If the split has no labels or no column `cluster`, or the ranking is not of its queries and
        gallery, not as deep as k, or has images that are excluded.

    Examples
    --------
    >>> import numpy as np
    >>> from outliers_bench.api.runs import load_split
    >>> images = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1) * np.ones((9, 9, 3), np.uint8)
    >>> split = load_split(images, labels=["cat", "dog"] * 10)
    >>> ranking = Ranking(np.tile([0, 1], (4, 1)), np.tile(np.float32([1, 0]), (4, 1)))
    >>> evaluate(ranking, split, k=[1, 2]).metrics["hit_at_1"]
    0.5
    """
    if not split.labeled:
        raise BenchError(f"{split.name} has no labels in query or gallery, so nothing is scored")
    if len(ranking.indices) != len(split.query):
        raise BenchError(
            f"the ranking has {len(ranking.indices)} rows, and {split.name} has "
            f"{len(split.query)} queries"
        )
    gallery, last = len(split.gallery), ranking.indices.max(initial=0)  # unsigned, too
    if ranking.indices.dtype.kind not in "iu" or last >= gallery:
        raise BenchError(
            f"the ranking has the position {last}, and {split.name} has {gallery} gallery images: "
            f"give integers from 0 to {gallery - 1}"
        )
    cutoffs = [n for n in Config().k if n <= ranking.depth] if k is None else list(k)
    if not cutoffs or min(cutoffs) < 1 or max(cutoffs) > ranking.depth:
        raise BenchError(f"k={cutoffs}: give cutoffs from 1 to {ranking.depth}, its depth")
    try:
        found = evaluate_ranking(ranking, split, k=cutoffs)
    except ValueError as error:
        raise BenchError(f"the ranking cannot be scored: {error}") from error
    return add_statistics(found, split, cluster=cluster, seed=seed)
