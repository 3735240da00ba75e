"""Scores of submissions, with the metrics of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outliers_bench.apps.competition.check import Submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.evaluation import (
    average_precision_at_r,
    confidence_intervals,
    count_relevant,
    hit_at_k,
    precision_at_k,
    r_precision,
)


@dataclass(frozen=True)
class SubmissionScore:
    """Metrics by their names in MLflow, with 95% confidence intervals."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def score_submission(
    submission: Submission, dataset: CompetitionData, *, k: Sequence[int]
) -> SubmissionScore:
    """Score a submission as `evaluate` scores a run.

    Parameters
    ----------
    submission : Submission
        Rankings of all scored queries.
    dataset : CompetitionData
        The photos with their labels.
    k : sequence of int
        Cut-offs. Those beyond the longest ranking are omitted; images beyond the end of a shorter
        ranking count as not relevant.

    Returns
    -------
    SubmissionScore
        Hit rate and precision; MAP@R and R-precision only if every ranking has at least as many
        images as its query has relevant ones. Queries without relevant images are excluded.
    """
    query, gallery = dataset.split.query, dataset.split.gallery
    assert query.labels is not None  # noqa: S101 - checked by `load_competition_data`
    assert gallery.labels is not None  # noqa: S101
    total = count_relevant(dataset.split)
    scored = np.flatnonzero(total > 0)
    rankings = [submission.rankings[row] for row in scored.tolist()]
    lengths = np.array([len(ranking) for ranking in rankings])
    relevant = np.zeros((len(rankings), max(1, int(lengths.max()))), dtype=np.bool_)
    for row, (query_row, ranking) in enumerate(zip(scored, rankings, strict=True)):
        relevant[row, : len(ranking)] = (
            gallery.labels[np.array(ranking, dtype=np.int64)] == query.labels[query_row]
        )
    cut_offs = [cut_off for cut_off in sorted(set(k)) if cut_off <= relevant.shape[1]]
    per_query = {
        **{f"hit_at_{cut_off}": hit_at_k(relevant, cut_off) for cut_off in cut_offs},
        **{f"precision_at_{cut_off}": precision_at_k(relevant, cut_off) for cut_off in cut_offs},
    }
    if (lengths >= total[scored]).all():
        per_query["map_at_r"] = average_precision_at_r(relevant, total[scored])
        per_query["r_precision"] = r_precision(relevant, total[scored])
    return SubmissionScore(
        metrics={name: float(values.mean()) for name, values in per_query.items()},
        intervals=confidence_intervals(per_query, seed=0),
    )
