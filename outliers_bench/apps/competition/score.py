"""Scores of submissions, with the metrics of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from outliers_bench.apps.competition.check import Submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.evaluation import confidence_intervals, count_relevant
from outliers_bench.evaluation.choose_clusters import choose_unit, make_clusters
from outliers_bench.evaluation.metrics import compute_per_query, cutoff_of, determined_metrics
from outliers_bench.evaluation.scored import Scored


@dataclass(frozen=True)
class SubmissionScore:
    """Metrics by their names in MLflow, with 95% confidence intervals."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def score_submission(
    submission: Submission, dataset: CompetitionData, *, k: Sequence[int]
) -> SubmissionScore:
    """Score a submission as `evaluate` scores a run.

    Cutoffs beyond the longest ranking are omitted; images beyond the end of a shorter ranking count
    as not relevant.

    Returns
    -------
    SubmissionScore
        Metrics with a cutoff; others, such as MAP@R, MRR or mAP, only if the submitted ranks
        decide on them for every query, as in `evaluate`. Queries without relevant images are
        excluded. Intervals are over the clusters that a run chooses by default.
    """
    query, gallery = dataset.split.query, dataset.split.gallery
    assert query.labels is not None  # noqa: S101 - checked by `load_competition_data`
    assert gallery.labels is not None  # noqa: S101
    total = count_relevant(dataset.split)
    scored = np.flatnonzero(total > 0)
    rankings = [submission.rankings[row] for row in scored.tolist()]
    lengths = np.array([len(ranking) for ranking in rankings])
    retrieved = np.full((len(rankings), max(1, int(lengths.max()))), -1, dtype=np.int64)
    for row, ranking in enumerate(rankings):
        retrieved[row, : len(ranking)] = gallery.labels[np.array(ranking, dtype=np.int64)]
    relevant = retrieved == query.labels[scored, None]
    cut_offs = [cut_off for cut_off in set(k) if cut_off <= relevant.shape[1]]
    inputs = Scored(relevant, total[scored], query.labels[scored], retrieved)
    determined = determined_metrics(inputs, cut_offs)
    per_query = {
        name: values
        for name, values in compute_per_query(inputs, cut_offs).items()
        if name in determined or cutoff_of(name) is not None
    }
    clusters = make_clusters(dataset.split, choose_unit(dataset.split), scored)
    return SubmissionScore(
        metrics={name: float(np.mean(values)) for name, values in per_query.items()},
        intervals=confidence_intervals(per_query, seed=0, clusters=clusters.ids),
    )
