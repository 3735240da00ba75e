"""What a submission is worth, by the metrics of a run."""

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
    """Scores by their names in MLflow, with the ends of their 95% intervals."""

    metrics: dict[str, float]
    intervals: dict[str, tuple[float, float]]


def score(submission: Submission, held: CompetitionData, *, k: Sequence[int]) -> SubmissionScore:
    """Score a submission as `evaluate` scores a run.

    Parameters
    ----------
    submission : Submission
        Has every query that counts.
    held : Held
        The photos with their labels.
    k : sequence of int
        Cut-offs. Those beyond the longest list are left out; a shorter list has nothing right
        beyond its end.

    Returns
    -------
    Worth
        Hit rates and precisions; MAP@R and R-precision only where every list is as long as its
        query has right answers. Queries without any are left out.
    """
    query, gallery = held.split.query, held.split.gallery
    assert query.labels is not None  # noqa: S101 - `hold` has refused it
    assert gallery.labels is not None  # noqa: S101
    total = count_relevant(query, gallery, leave_one_out=False)
    scored = np.flatnonzero(total > 0)
    lists = [submission.found[row] for row in scored.tolist()]
    lengths = np.array([len(found) for found in lists])
    relevant = np.zeros((len(lists), max(1, int(lengths.max()))), dtype=np.bool_)
    for row, (at, found) in enumerate(zip(scored, lists, strict=True)):
        relevant[row, : len(found)] = (
            gallery.labels[np.array(found, dtype=np.int64)] == query.labels[at]
        )
    cut_offs = [cut for cut in sorted(set(k)) if cut <= relevant.shape[1]]
    per_query = {
        **{f"hit_at_{cut}": hit_at_k(relevant, cut) for cut in cut_offs},
        **{f"precision_at_{cut}": precision_at_k(relevant, cut) for cut in cut_offs},
    }
    if (lengths >= total[scored]).all():
        per_query["map_at_r"] = average_precision_at_r(relevant, total[scored])
        per_query["r_precision"] = r_precision(relevant, total[scored])
    return SubmissionScore(
        metrics={name: float(values.mean()) for name, values in per_query.items()},
        intervals=confidence_intervals(per_query, seed=0),
    )
