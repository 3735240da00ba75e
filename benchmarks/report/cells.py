"""Formatting of figures, and tables in Markdown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

Cells = Sequence[str]


def value_and_range(row: dict[str, Any]) -> str:
    """Format the median, with the range if there are several values."""
    if "median" not in row:
        return "–"
    low, median, high = (three_digits(row[name]) for name in ("low", "median", "high"))
    return median if len(row["values"]) == 1 else f"{median} ({low}–{high})"


def three_digits(figure: float) -> str:
    """Format with three significant digits, and integers from 100 on."""
    if figure >= 99.95:
        return f"{figure:,.0f}"
    return f"{figure:#.3g}"


def factor(ratio: float | None) -> str:
    """Format a ratio as a factor; empty without one."""
    return "" if ratio is None else f"{three_digits(ratio)} ×"


def percent(ratio: float | None) -> str:
    """Format a ratio as a percentage."""
    return "–" if ratio is None else f"{ratio:.0%}"


def goal_value(figure: float | None, unit: str) -> str:
    """Format the value of a goal in its unit."""
    if figure is None:
        return "–"
    return {"x": f"{figure:.3g} ×", "%": f"{figure:.1%}", "s": f"{figure:.3g} s"}[unit]


def remarks(row: dict[str, Any]) -> str:
    """Return the note of a row, and the reason of its failure."""
    return "; ".join(filter(None, (row.get("note"), failure("", row))))


def failure(name: str, row: dict[str, Any]) -> str:
    """Return the reason of missing values; empty if there are none."""
    return f"{name}{': ' if name else ''}{row['failed']}" if row.get("failed") else ""


def table(head: Cells, rows: Iterable[Cells]) -> str:
    """Format a Markdown table."""
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)
