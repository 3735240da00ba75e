"""Report of an inspection: a table on the terminal, and all findings in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.finding_kinds import DESCRIPTIONS, KINDS, Finding, Kind
from outliers_bench.apps.clean.inspection import Inspection
from outliers_bench.store.files import write_atomically

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("path", "kind", "detail", "other", "likeness")
_EXAMPLES = 2


def print_report(
    inspection: Inspection, kinds_to_move: AbstractSet[Kind], console: Console
) -> None:
    """Print the number of photos and a table of the findings, by kind, with examples."""
    from rich.table import Table
    from rich.text import Text

    listing = inspection.listing
    total = len(listing.photos) + len(listing.unsupported)
    labels = f" in {inspection.labels:,} class folders" if inspection.labels else ""
    console.print(f"{total:,} photos{labels}{_describe_skipped(listing.links, listing.others)}")
    if not inspection.findings:
        console.print("No problems found.")
        return
    table = Table("kind", "", "", "description", "examples", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for kind in KINDS:
        findings = [finding for finding in inspection.findings if finding.kind == kind]
        if not findings:
            continue
        examples = [Text(_describe(finding), overflow="fold") for finding in findings[:_EXAMPLES]]
        if len(findings) > _EXAMPLES:
            examples.append(Text("..."))
        fate = "move" if kind in kinds_to_move else "stay"
        table.add_row(
            kind, f"{len(findings):,}", fate, DESCRIPTIONS[kind], Text("\n").join(examples)
        )
    console.print(table)
    if inspection.empty_labels:
        labels = ", ".join(map(escape_unprintable, inspection.empty_labels[:5]))
        more = ", ..." if len(inspection.empty_labels) > 5 else ""
        console.print(f"Labels without any photo left: {labels}{more}", soft_wrap=True)


def write_csv(findings: Sequence[Finding], path: Path) -> None:
    """Write the findings to a CSV file, one row each; the file is replaced atomically.

    Parameters
    ----------
    findings : sequence of Finding
    path : Path
        File with the columns path, kind, detail, other (for duplicates, the photo that is
        retained) and likeness.
    """
    with (
        write_atomically(path) as temporary,
        temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for item in findings:
            likeness = "" if item.likeness is None else f"{item.likeness:.4f}"
            writer.writerow((item.path, item.kind, item.detail, item.other, likeness))


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


def _describe_skipped(links: int, others: int) -> str:
    skipped = []
    if others:
        skipped.append(f"{others:,} other file{'' if others == 1 else 's'}")
    if links:
        skipped.append(f"{links:,} link{'' if links == 1 else 's'}")
    return f"; skipped: {' and '.join(skipped)}" if skipped else ""
