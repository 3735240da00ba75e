"""Options in which runs differ that have the same model, reduction, index and re-ranking."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from outliers_bench.leaderboard.boards import TAGS

if TYPE_CHECKING:
    from mlflow.entities import Run

_LONGEST = 40  # value, in characters
# The runs of a board have the same photos, and the variant of a model has the precision.
_ON_EVERY_BOARD = ("data", "engine")


def differing_options(runs: Sequence[Run]) -> dict[str, str]:
    """Return the options in which runs of the same method differ, such as `seed=1 k=[1, 5]`.

    Returns options by run id; empty if no other run has the method. If two runs have the same
    options (but other weights or another version), the beginning of the run id is added.
    """
    by_method: dict[tuple[str, ...], list[Run]] = {}
    for run in runs:
        by_method.setdefault(tuple(run.data.tags.get(tag, "") for tag in TAGS), []).append(run)
    return {run_id: text for group in by_method.values() for run_id, text in _differing(group)}


def _differing(runs: Sequence[Run]) -> Iterable[tuple[str, str]]:
    if len(runs) == 1:
        return [(runs[0].info.run_id, "")]
    # Imported late, as it imports Hydra.
    from outliers_bench.config.roles import role

    names = dict.fromkeys(name for run in runs for name in run.data.params)
    differing = [
        name
        for name in names
        if name.partition(".")[0] not in _ON_EVERY_BOARD
        and role(name) == "result"
        and len({run.data.params.get(name) for run in runs}) > 1
    ]
    texts = [
        " ".join(
            f"{name}={_truncate(run.data.params[name])}"
            for name in differing
            if name in run.data.params
        )
        for run in runs
    ]
    counts = Counter(texts)
    ids = [run.info.run_id for run in runs]
    return [
        (run_id, text if counts[text] == 1 else f"run {run_id[:8]} {text}".strip())
        for run_id, text in zip(ids, texts, strict=True)
    ]


def _truncate(value: str) -> str:
    return value if len(value) <= _LONGEST else f"{value[: _LONGEST - 1]}…"
