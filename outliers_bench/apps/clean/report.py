"""Report of an inspection: a table on the terminal, and all findings in a CSV file."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

from outliers_bench.apps.clean.findings import Finding
from outliers_bench.apps.clean.inspection import Inspection
from outliers_bench.apps.clean.options import KINDS
from outliers_bench.runtime.visible_text import write_csv
from outliers_bench.store.files import write_atomically

COLUMNS = ("path", "kind", "detail", "other", "likeness")
_EXAMPLES = 2


def print_report(inspection: Inspection, kinds_to_move: AbstractSet[str]) -> None:
    """Print the number of photos and a table of the findings, by kind, with examples."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    listing = inspection.listing
    total = len(listing.photos) + len(listing.unsupported)
    labels = f" in {inspection.labels:,} class folders" if inspection.labels else ""
    numbers = {
        "other file": listing.others,
        "hidden or system file": listing.system,
        "link": listing.links,
    }
    skipped = [f"{n:,} {name}{'' if n == 1 else 's'}" for name, n in numbers.items() if n]
    print(f"{total:,} photos{labels}{'; skipped: ' if skipped else ''}{', '.join(skipped)}")
    if not inspection.findings:
        print("No problems found.")
        return
    table = Table("kind", "", "", "description", "examples", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for kind, description in KINDS.items():
        findings = [finding for finding in inspection.findings if finding.kind == kind]
        if not findings:
            continue
        examples = [Text(_describe(finding), overflow="fold") for finding in findings[:_EXAMPLES]]
        if len(findings) > _EXAMPLES:
            examples.append(Text("..."))
        fate = "move" if kind in kinds_to_move else "stay"
        table.add_row(kind, f"{len(findings):,}", fate, description, Text("\n").join(examples))
    # A file or a pipe has no width that the output must fit.
    Console(highlight=False, width=None if sys.stdout.isatty() else 200).print(table)
    if inspection.empty_labels:
        labels = ", ".join(map(escape_unprintable, inspection.empty_labels))
        print(f"Labels without any photo left: {labels}")


def write_findings(findings: Sequence[Finding], path: Path) -> None:
    """Write the findings to a CSV file, one row each; the file is replaced atomically."""
    with (
        write_atomically(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        rows: list[tuple[object, ...]] = [COLUMNS]
        for item in findings:
            likeness = "" if item.likeness is None else f"{item.likeness:.4f}"
            rows.append((item.path, item.kind, item.detail, item.other, likeness))
        write_csv(file, rows, lineterminator="\n")


def escape_unprintable(name: str) -> str:
    r"""Escape control characters and characters that a terminal cannot encode.

    Examples
    --------
    >>> escape_unprintable("caf\udce9 \x1b[31m.jpg")
    'caf\\udce9 \\x1b[31m.jpg'
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in name
    )


def _describe(finding: Finding) -> str:
    detail = finding.detail
    if finding.kind == "near_duplicate":
        detail = f"similar to {finding.other} ({finding.likeness:.3f})"
    return escape_unprintable(f"{finding.path}: {detail}")
