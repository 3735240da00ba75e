"""The table of probes in docs/formats.md.

python -m tests.data.formats.table
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.data.formats import (
    modern_probes,
    plain_probes,
    tiff_layout_probes,
    tiff_sample_probes,
    web_probes,
)

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
BEGIN, END = "<!-- probes: python -m tests.data.formats.table -->", "<!-- /probes -->"
PROBES = [
    probe
    for module in (web_probes, tiff_layout_probes, tiff_sample_probes, modern_probes, plain_probes)
    for probe in module.PROBES
]


def table() -> str:
    """Return the table: a row for each group, with the largest difference that a probe may have."""
    counts = Counter((probe.format, probe.group) for probe in PROBES)
    lines = [
        f"{len(PROBES)} probes:",
        "",
        "| format | probed | probes | largest difference |",
        "|---|---|---:|---:|",
    ]
    for (kind, group), count in counts.items():
        of_group = [p for p in PROBES if (p.format, p.group) == (kind, group)]
        tolerance = max(probe.tolerance for probe in of_group)
        refused = group in ("not decoded", "raw data")
        lines.append(f"| {kind} | {group} | {count} | {'refused' if refused else tolerance} |")
    return "\n".join(lines)


def page() -> str:
    """Return the page with the table as it should be."""
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    return f"{before}{BEGIN}\n{table()}\n{END}{rest.split(END)[1]}"


if __name__ == "__main__":
    PAGE.write_text(page())
