"""How figures are written, and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Cells = Sequence[str]


def value(row: dict[str, Any]) -> str:
    """Median, and what it lies between."""
    if "median" not in row:
        return "–"
    low, middle, high = (number(row[name]) for name in ("low", "median", "high"))
    return middle if len(row["values"]) == 1 else f"{middle} ({low}–{high})"


def number(figure: float) -> str:
    """Three digits, no more."""
    if figure >= 99.95:
        return f"{figure:,.0f}"
    return f"{figure:#.3g}"


def times(ratio: float | None) -> str:
    """A ratio; empty where there is none."""
    return "" if ratio is None else f"{number(ratio)} ×"


def share(ratio: float | None) -> str:
    """A ratio in per cent."""
    return "–" if ratio is None else f"{ratio:.0%}"


def in_unit(figure: float | None, unit: str) -> str:
    """A goal's figure."""
    if figure is None:
        return "–"
    return {"x": f"{figure:.3g} ×", "%": f"{figure:.1%}", "s": f"{figure:.3g} s"}[unit]


def said(row: dict[str, Any]) -> str:
    """What a reader must know of a row, and why it failed."""
    return "; ".join(filter(None, (row.get("note"), failed("", row))))


def failed(name: str, row: dict[str, Any]) -> str:
    """Why a row has no figures, or fewer; empty if it has all."""
    return f"{name}{': ' if name else ''}{row['failed']}" if row.get("failed") else ""


def table(head: Cells, rows: Iterable[Cells]) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)
