"""What cleaning tells: a table on the terminal, and every finding in a CSV file."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.finding_kinds import KINDS, MEANINGS, Finding, Kind
from outliers_bench.apps.clean.inspection import Inspection
from outliers_bench.store.files import written

if TYPE_CHECKING:
    from rich.console import Console

COLUMNS = ("path", "kind", "detail", "other", "likeness")
_EXAMPLES = 2


def show(inspection: Inspection, moved: AbstractSet[Kind], console: Console) -> None:
    """Print what there is and what is wrong with it, by kind, with the first examples."""
    from rich.table import Table
    from rich.text import Text

    listing = inspection.listing
    total = len(listing.photos) + len(listing.unsupported)
    labels = f" in {inspection.labels:,} class folders" if inspection.labels else ""
    console.print(f"{total:,} photos{labels}{_passed_over(listing.links, listing.others)}")
    if not inspection.findings:
        console.print("Nothing was found.")
        return
    table = Table("kind", "", "", "what it is", "first of them", box=None, pad_edge=False)
    table.columns[1].justify = "right"
    for kind in KINDS:
        found = [finding for finding in inspection.findings if finding.kind == kind]
        if not found:
            continue
        told = [Text(_sentence(finding), overflow="fold") for finding in found[:_EXAMPLES]]
        if len(found) > _EXAMPLES:
            told.append(Text("..."))
        fate = "goes" if kind in moved else "stays"
        table.add_row(kind, f"{len(found):,}", fate, MEANINGS[kind], Text("\n").join(told))
    console.print(table)
    if inspection.empty:
        named = ", ".join(map(printable, inspection.empty[:5]))
        more = ", ..." if len(inspection.empty) > 5 else ""
        console.print(f"Labels without a photo that stays: {named}{more}", soft_wrap=True)


def write_csv(findings: Sequence[Finding], path: Path) -> None:
    """Write every finding, a line each, in one step.

    Parameters
    ----------
    findings : sequence of Finding
    path : Path
        Columns path, kind, detail, other (of duplicates the photo that is kept) and likeness.
    """
    with (
        written(path) as aside,
        aside.open("w", encoding="utf-8", errors="surrogateescape", newline="") as file,
    ):
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for found in findings:
            likeness = "" if found.likeness is None else f"{found.likeness:.4f}"
            writer.writerow((found.path, found.kind, found.detail, found.other, likeness))


def printable(name: str) -> str:
    r"""A file name without what a terminal would obey or could not encode.

    Examples
    --------
    >>> printable("caf\udce9 \x1b[31m.jpg")
    'caf\\udce9 \\x1b[31m.jpg'
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape").decode() for char in name
    )


def _sentence(finding: Finding) -> str:
    detail = finding.detail
    if finding.kind == "near_duplicate":
        detail = f"nearly {finding.other} ({finding.likeness:.3f})"
    return printable(f"{finding.path}: {detail}")


def _passed_over(links: int, others: int) -> str:
    told = []
    if others:
        told.append(f"{others:,} {'file that is' if others == 1 else 'files that are'} no image")
    if links:
        told.append(f"{links:,} link{'' if links == 1 else 's'}")
    return f"; passed over: {' and '.join(told)}" if told else ""
