"""What was found, as text: a table to read, or JSON for another program."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from outliers_bench.serving.engine import Answer, Hit
    from outliers_bench.serving.saved_run import SavedRun

_LABEL = 30  # letters of a label in the table; JSON has them all


def as_table(answer: Answer) -> str:
    """A table for each photo that was searched for."""
    return "\n\n".join(_table(asked, hits) for asked, hits in answer.hits.items())


def as_json(answer: Answer, card: SavedRun, *, sheet: Path | None) -> str:
    """Everything as one JSON object.

    Parameters
    ----------
    answer : Answer
    card : RunCard
        The run.
    sheet : Path or None
        Where the contact sheet was written.
    """
    queries = [
        {"query": str(asked), "error": None, "found": [_plain(*hit) for hit in enumerate(hits, 1)]}
        for asked, hits in answer.hits.items()
    ]
    queries += [
        {"query": str(path), "error": why, "found": []} for path, why in answer.unreadable.items()
    ]
    said = {
        "run": {"id": card.run_id, "name": card.name, "data": card.data, "uri": card.uri},
        "gallery_images": len(answer.images),
        "queries": queries,
        "gone": [{"name": name, "error": why} for name, why in answer.gone.items()],
        "sheet": None if sheet is None else str(sheet),
    }
    return json.dumps(said, indent=2, ensure_ascii=False)


def _plain(rank: int, hit: Hit) -> dict[str, object]:
    return {
        "rank": rank,
        "score": rounded(hit.score),
        "label": hit.label,
        "name": hit.name,
        "path": None if hit.path is None else str(hit.path),
    }


def rounded(score: float) -> float:
    """A score with as many digits as a float32 has."""
    return float(f"{score:.7g}")


def _table(asked: Path, hits: list[Hit]) -> str:
    labeled = any(hit.label is not None for hit in hits)
    rows = [("", "score", "label", "photo")]
    rows += [
        (str(rank), f"{hit.score:.4f}", _short(hit.label or ""), _shown(hit))
        for rank, hit in enumerate(hits, 1)
    ]
    wide = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [shorter(asked)]
    for rank, score, label, name in rows:
        middle = f"  {label:<{wide[2]}}" if labeled else ""
        lines.append(f"{rank:>{max(3, wide[0])}}  {score:>{wide[1]}}{middle}  {name}".rstrip())
    return "\n".join(lines)


def _shown(hit: Hit) -> str:
    return hit.name if hit.path is None else shorter(hit.path)


def _short(label: str) -> str:
    return label if len(label) <= _LABEL else f"{label[: _LABEL - 3]}..."


def shorter(path: Path) -> str:
    """A path as it is reached from here, where it lies below the working directory."""
    here = Path(os.getcwd())  # noqa: PTH109 - as the shell shows it
    return str(path.relative_to(here)) if path.is_relative_to(here) else str(path)
