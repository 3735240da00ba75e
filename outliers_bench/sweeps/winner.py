"""Run of a sweep's winner on the queries that took no part in its choice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from outliers_bench.config.text_options import MULTIRUN, to_hydra
from outliers_bench.data.validation import Evaluated
from outliers_bench.runtime.command_line import USER_ERROR
from outliers_bench.sweeps.summary import side_by_side
from outliers_bench.sweeps.trials import (
    SHOWN,
    VALIDATION_TAG,
    Trial,
    expected_jobs,
    find_winner,
    log_winner,
    read_study,
    read_trials,
)

if TYPE_CHECKING:
    from omegaconf import DictConfig

    from outliers_bench.tracking.outbox import Box

_EVALUATE = "data.evaluate="
_WIDTHS = 13, 22  # characters: of titles, of figures with their interval


def run_winner(box: Box, sweeper: DictConfig, start: Callable[[], None]) -> None:
    """Run the winner of a sweep on the queries, if the sweep has a validation part, and show both.

    Parameters
    ----------
    box : Box
        Box of the sweep.
    sweeper : DictConfig
        Options of the sweeper, which may have a study with earlier trials.
    start : callable
        Starts the command in `sys.argv`, as a job of the sweep.
    """
    if VALIDATION_TAG not in box.start.tags:
        return
    objective, direction = (box.start.tags[name] for name in ("objective", "direction"))
    trials = read_trials(box)
    if len({trial.split for trial in trials}) > 1:
        print(
            "note: the jobs were measured on different splits, so there is no winner to run on "
            "the other queries",
            file=sys.stderr,
        )
        return
    trials += read_study(sweeper, objective, trials)
    winner = find_winner(trials, objective=objective, direction=direction)
    if winner is None:
        return
    n_jobs = expected_jobs(box)
    box.add(log_winner, overrides=winner.overrides, n_jobs=n_jobs + 1 if n_jobs else 0)
    words = [word for word in winner.overrides if not word.startswith(_EVALUATE)]
    sys.argv[1:] = to_hydra([*_flags(sys.argv[1:]), *words, f"{_EVALUATE}queries"])
    try:
        start()
    except SystemExit as end:
        if end.code != USER_ERROR:
            raise
        return  # it has printed why, and is a failed job of the sweep
    finals = [each for each in read_trials(box) if each.evaluated == Evaluated.queries.value]
    if finals:
        _show(winner, finals[-1], objective, len(trials), _varied(winner, trials))


def _flags(words: Sequence[str]) -> list[str]:
    """Return the words of a command line that are no overrides, such as `--config-dir mine`."""
    return [
        word
        for word in words
        if word not in MULTIRUN
        and (word.startswith("--") or ("=" not in word and not word.startswith("~")))
    ]


def _varied(winner: Trial, trials: Sequence[Trial]) -> list[str]:
    """Return the overrides of the winner that other jobs do not have."""
    others = [set(trial.overrides) for trial in trials]
    return [word for word in winner.overrides if not all(word in other for other in others)]


def _show(
    winner: Trial, final: Trial, objective: str, n_trials: int, varied: Sequence[str]
) -> None:
    """Print the figures on the validation queries and on the others, side by side."""
    print(f"\nWinner of {n_trials} jobs: {' '.join(varied) or 'the only one'}")
    names = dict.fromkeys((objective, *SHOWN))
    rows = side_by_side((winner.metrics, final.metrics), list(names))
    for title, *cells in (["", "validation", "queries"], *rows):
        print(title.ljust(_WIDTHS[0]) + "".join(cell.rjust(_WIDTHS[1]) for cell in cells))
    print("It was chosen by its figures on validation, which are therefore too good.")
