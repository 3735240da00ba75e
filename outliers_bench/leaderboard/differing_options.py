"""What tells runs apart that are alike in model, variant, PCA, index, metric and re-ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from outliers_bench.leaderboard.boards import TAGS

if TYPE_CHECKING:
    from mlflow.entities import Run

_LONGEST = 40  # characters of a value


def settings(runs: Sequence[Run]) -> dict[str, str]:
    """The options that differ among runs of one method, such as `seed=1 k=[1, 5]`.

    Parameters
    ----------
    runs : sequence of Run
        Those of one board.

    Returns
    -------
    dict of str to str
        By run id; empty for a run that is alone with its method. Where the options do not tell
        two apart (another file of weights, another version), it is the begin of the run's id.
    """
    alike: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        alike.setdefault(tuple(run.data.tags.get(tag, "") for tag in TAGS), []).append(run)
    return {run_id: text for group in alike.values() for run_id, text in _differing(group)}


def _differing(runs: Sequence[Run]) -> Iterable[tuple[str, str]]:
    if len(runs) == 1:
        return [(runs[0].info.run_id, "")]
    # Only where it is needed, for it imports Hydra.
    from outliers_bench.config.identity import IRRELEVANT

    names = dict.fromkeys(name for run in runs for name in run.data.params)
    differing = [
        name
        for name in names
        if name.split(".")[0] not in IRRELEVANT
        and len({run.data.params.get(name) for run in runs}) > 1
    ]
    told = [
        " ".join(
            f"{name}={_short(run.data.params[name])}"
            for name in differing
            if name in run.data.params
        )
        for run in runs
    ]
    times = Counter(told)
    also = [
        f"run {run.info.run_id[:8]}" if times[text] > 1 else ""
        for run, text in zip(runs, told, strict=True)
    ]
    return [
        (run.info.run_id, " ".join(part for part in parts if part))
        for run, *parts in zip(runs, told, also, strict=True)
    ]


def _short(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
