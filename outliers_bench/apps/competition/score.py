"""Scores of submissions, with the metrics of a run."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from outliers_bench.apps.competition.check import Submission
from outliers_bench.apps.competition.dataset import CompetitionData
from outliers_bench.errors import BenchError
from outliers_bench.evaluation import confidence_intervals, count_relevant
from outliers_bench.evaluation.choose_clusters import choose_unit, make_clusters
from outliers_bench.evaluation.metrics import compute_per_query, cutoff_of, determined_metrics
from outliers_bench.evaluation.scored import Scored

IntArray = NDArray[np.int64]


@dataclass(frozen=True)
class SubmissionScore:
    """Metrics by their names in MLflow, with 95% confidence intervals."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def split_queries(dataset: CompetitionData, public_share: float) -> dict[str, IntArray]:
    """Split the queries with relevant images into a public and a private part, at random.

    Returns
    -------
    dict of str to ndarray
        Rows in `split.query` of `public` and `private`, in the order of hashes of each photo and
        the fingerprint of all photos and labels: the same after a restart or in another order of
        a table, and known to nobody without the labels. Empty if `public_share` is 1.

    Raises
    ------
    BenchError
        If a part would be empty.
    """
    if public_share == 1:
        return {}
    rows = np.flatnonzero(count_relevant(dataset.split) > 0)
    n = round(public_share * len(rows))
    if not 0 < n < len(rows):
        raise BenchError(
            f"public_share={public_share}: one part would have none of the queries with relevant "
            f"images, {len(rows):,} in all; give public_share=1 for a competition without parts"
        )
    seed = bytes.fromhex(dataset.split.fingerprint)
    digests = dataset.split.query.digests
    hashes = [hashlib.sha256(seed + digests[row]).digest() for row in rows.tolist()]
    shuffled = rows[sorted(range(len(rows)), key=hashes.__getitem__)]
    return {"public": np.sort(shuffled[:n]), "private": np.sort(shuffled[n:])}


def score_submission(
    submission: Submission,
    dataset: CompetitionData,
    *,
    k: Sequence[int],
    rows: IntArray | None = None,
) -> SubmissionScore:
    """Score a submission as `evaluate` scores a run.

    Cutoffs beyond the longest ranking are omitted; images beyond the end of a shorter ranking count
    as not relevant.

    Parameters
    ----------
    submission : Submission
    dataset : CompetitionData
    k : sequence of int
        Cutoffs.
    rows : ndarray or None
        Queries to score, from `split_queries`; None for all.

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
    scored = np.flatnonzero(total > 0) if rows is None else rows
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


def score_parts(
    submission: Submission,
    dataset: CompetitionData,
    parts: Mapping[str, IntArray],
    *,
    k: Sequence[int],
) -> dict[str, SubmissionScore]:
    """Score a submission over each part of the queries, from `split_queries`."""
    return {
        part: score_submission(submission, dataset, k=k, rows=rows) for part, rows in parts.items()
    }
