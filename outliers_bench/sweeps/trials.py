"""Trials: the figures of the jobs of a sweep on the validation queries, noted in its box."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from outliers_bench.config.roles import role
from outliers_bench.config.text_options import as_typed
from outliers_bench.data.validation import Evaluated
from outliers_bench.result import FinishedRun, Result
from outliers_bench.tracking.outbox import Box, current_sweep, now
from outliers_bench.tracking.records import name_of, without_password

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from omegaconf import DictConfig
    from optuna.study import Study

    from outliers_bench.benchmark import Prepared

VALIDATION_TAG = "validation"  # of a sweep: the share of the queries that are validation queries
WINNER_TAG = "winner"  # of a sweep: the overrides of its best job
SHOWN = ("hit_at_1", "hit_at_5", "hit_at_10", "map_at_r")


@dataclass(frozen=True)
class Trial:
    """A job measured on the validation queries, or the run of the winner on the others."""

    overrides: tuple[str, ...]  # that repeat the job alone
    metrics: Mapping[str, float]
    evaluated: str  # queries | validation
    split: str = ""  # fingerprint; empty if it is not known


def note_trial(prepared: Prepared, outcome: Result | FinishedRun, overrides: Sequence[str]) -> None:
    """Note the figures of a job in the box of its sweep, if that chooses a winner."""
    from outliers_bench.tracking.log_result import collect_metrics

    sweep = current_sweep()
    if sweep is None or VALIDATION_TAG not in sweep.start.tags:
        return
    objective = sweep.start.tags["objective"]
    metrics = collect_metrics(outcome) if isinstance(outcome, Result) else outcome.metrics
    if not math.isfinite(metrics.get(objective, math.nan)):
        return
    scores = dict.fromkeys((objective, *SHOWN))
    ends = [f"ci95/{name}_{end}" for name in scores for end in ("low", "high")]
    sweep.add(
        log_trial,
        objective=objective,
        metrics={name: metrics[name] for name in (*scores, *ends, "queries") if name in metrics},
        overrides=list(overrides),
        evaluated=(prepared.config.data.evaluate or Evaluated.queries).value,
        split=prepared.split.fingerprint,
        time=now(),
    )


def log_trial(
    client: MlflowClient,
    run_id: str,
    *,
    objective: str,
    metrics: Mapping[str, float],
    overrides: Sequence[str],  # noqa: ARG001 - for `read_trials`
    evaluated: str,
    split: str,  # noqa: ARG001
    time: int,
) -> None:
    """Log the course of the objective on the validation queries as a metric of the sweep."""
    from mlflow.entities import Metric

    if evaluated == Evaluated.validation.value:
        name = f"{VALIDATION_TAG}/{objective}"
        client.log_batch(run_id, metrics=[Metric(name, metrics[objective], time, 0)])


def log_winner(client: MlflowClient, run_id: str, *, overrides: Sequence[str], n_jobs: int) -> None:
    """Tag a sweep with its winner; `n_jobs`, if known, includes its run on the other queries."""
    client.set_tag(run_id, WINNER_TAG, without_password(shlex.join(overrides)))
    if n_jobs:
        client.set_tag(run_id, "n_jobs", str(n_jobs))


def expected_jobs(box: Box) -> int:
    """Return the number of jobs of a sweep, with the run of its winner; 0 if it is not known."""
    noted = [r.arguments["n_jobs"] for r in box.records() if r.call == name_of(log_winner)]
    return int(noted[-1] if noted else box.start.tags.get("n_jobs", 0))


def read_trials(box: Box) -> list[Trial]:
    """Read what the jobs of a sweep have noted."""
    noted = (each.arguments for each in box.records() if each.call == name_of(log_trial))
    return [
        Trial(tuple(each["overrides"]), each["metrics"], each["evaluated"], each["split"])
        for each in noted
    ]


def read_study(sweeper: DictConfig, objective: str, own: Sequence[Trial]) -> list[Trial]:
    """Read the trials of earlier commands from a study of Optuna that is stored in a database.

    Those with the same fixed options count, except for options of other `role` than result, such
    as `skip_finished`; those of the data count, as another folder has other photos. `own` are
    the trials of this command.
    """
    storage, name = sweeper.get("storage"), sweeper.get("study_name")
    if not isinstance(storage, str) or name is None or not own:
        return []
    import optuna

    return trials_of(optuna.load_study(study_name=name, storage=storage), objective, own)


def trials_of(study: Study, objective: str, own: Sequence[Trial]) -> list[Trial]:
    """Return the trials of a study with the fixed options of its last one, without `own`."""
    import optuna

    trials = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.COMPLETE,))
    fixed = trials[-1].user_attrs if trials else {}
    decisive = _decisive(fixed)
    # What repeats a job alone may end with the mode, which the study does not have.
    modes = [word for word in own[-1].overrides if word.startswith("hydra.mode=")]
    known = {frozenset(trial.overrides) for trial in own}
    found = [
        Trial(
            (*as_typed([f"{key}={v}" for key, v in (trial.params | fixed).items()]), *modes),
            {objective: float(trial.value)},
            Evaluated.validation.value,
        )
        for trial in trials
        if _decisive(trial.user_attrs) == decisive and trial.value is not None
    ]
    return [trial for trial in found if frozenset(trial.overrides) not in known]


def _decisive(options: Mapping[str, object]) -> dict[str, object]:
    """Return the options that decide on the figures of a run."""
    return {
        name: value
        for name, value in options.items()
        if role(name) == "result" or name.startswith("data.")
    }


def find_winner(trials: Sequence[Trial], *, objective: str, direction: str) -> Trial | None:
    """Return the best trial; of equals the first by its overrides, whichever ended first."""
    sign = 1 if direction == "minimize" else -1

    def key(trial: Trial) -> tuple[float, list[str]]:
        return sign * trial.metrics[objective], sorted(trial.overrides)

    return min(trials, key=key, default=None)
