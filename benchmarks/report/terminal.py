"""Tables for the terminal: aligned, without Markdown markup."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from benchmarks.report.tables import markdown


def terminal(results: dict[str, Any]) -> str:
    """Format all results."""
    lines = markdown(results).replace("**", "").replace("`", "").splitlines()
    return "\n".join(_align([_cells(line) if line.startswith("|") else line for line in lines]))


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _align(lines: list[str | list[str]]) -> Iterator[str]:
    """Pad the cells of tables, which are lists, and omit the separators below the headers."""
    table: list[list[str]] = []
    for line in [*lines, ""]:
        if isinstance(line, list):
            table.append(line)
            continue
        rows = [row for row in table if set(row) != {"---"}]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield "  ".join(cells).rstrip()
        table = []
        yield line
