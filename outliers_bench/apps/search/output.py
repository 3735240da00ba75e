"""Text output of a search: a table, or JSON for another program."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.data.crop_reader import split_name

if TYPE_CHECKING:
    from outliers_bench.serving.engine import Hit, SearchResult
    from outliers_bench.serving.saved_run import SavedRun

_LABEL = 30  # characters of a label in the table; JSON has all of them


def to_table(result: SearchResult) -> str:
    """Return a table for each query."""
    return "\n\n".join(_table(query, hits) for query, hits in result.hits.items())


def to_json(result: SearchResult, run: SavedRun, *, sheet: Path | None) -> str:
    """Return the result as one JSON object; `sheet` is the path of the contact sheet."""
    queries = [
        {
            "query": str(query),
            "error": None,
            "hits": [_hit_to_dict(rank, hit) for rank, hit in enumerate(hits, 1)],
        }
        for query, hits in result.hits.items()
    ]
    queries += [
        {"query": str(path), "error": reason, "hits": []}
        for path, reason in result.unreadable.items()
    ]
    content = {
        "run": {"id": run.run_id, "name": run.name, "data": run.data, "uri": run.uri},
        "gallery_images": len(result.images),
        "queries": queries,
        "unavailable": [{"name": name, "error": why} for name, why in result.unavailable.items()],
        "sheet": None if sheet is None else str(sheet),
    }
    return json.dumps(content, indent=2, ensure_ascii=False)


def _hit_to_dict(rank: int, hit: Hit) -> dict[str, object]:
    return {
        "rank": rank,
        "score": round_score(hit.score),
        "label": hit.label,
        "name": hit.name,
        "path": None if hit.path is None else str(hit.path),
    }


def round_score(score: float) -> float:
    """Round a score to the precision of float32."""
    return float(f"{score:.7g}")


def _table(query: Path, hits: list[Hit]) -> str:
    has_labels = any(hit.label is not None for hit in hits)
    rows = [("", "score", "label", "photo")]
    rows += [
        (str(rank), f"{hit.score:.4f}", _shorten(hit.label or ""), _photo(hit))
        for rank, hit in enumerate(hits, 1)
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = [relative_path(query)]
    for rank, score, label, photo in rows:
        middle = f"  {label:<{widths[2]}}" if has_labels else ""
        lines.append(f"{rank:>{max(3, widths[0])}}  {score:>{widths[1]}}{middle}  {photo}".rstrip())
    return "\n".join(lines)


def _photo(hit: Hit) -> str:
    if hit.path is None:
        return hit.name
    # That of a crop ends in its rectangle, which is not part of the path.
    return relative_path(hit.path) + hit.name[len(split_name(hit.name)[0]) :]


def _shorten(label: str) -> str:
    return label if len(label) <= _LABEL else f"{label[: _LABEL - 3]}..."


def relative_path(path: Path) -> str:
    """Return a path relative to the working directory if it is below it."""
    cwd = Path(os.getcwd())  # noqa: PTH109 - as the shell shows it
    return str(path.relative_to(cwd)) if path.is_relative_to(cwd) else str(path)
