"""python -m outliers_bench.clean: what is wrong with a folder of photos, and putting it aside."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.options import Clean, out_folder
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main

if TYPE_CHECKING:
    from rich.console import Console

    from outliers_bench.apps.clean.inspection import Inspection
    from outliers_bench.apps.clean.quarantine import Quarantine

PROGRAM = "python -m outliers_bench.clean"
FOUND = 1  # exit code of linters


def clean(options: Clean) -> int:
    """Do what the options say; see `Clean`.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    BenchError
        If an option makes no sense, or a folder cannot be read or written.
    """
    from rich.console import Console

    from outliers_bench.apps.clean.quarantine import Quarantine
    from outliers_bench.data.image_files import absolute, existing_folder

    options.check()
    root = existing_folder(options.root, "root")
    if ".." in root.parts:  # whose name is no name to put something behind
        root = root.resolve()
    folder = absolute(options.quarantine or f"{root}.quarantine")
    quarantine = Quarantine(root, folder)
    quarantine.check(writing=options.apply)
    # A file or a pipe has no width to fit into.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200, markup=False)
    if options.undo:
        return _undo(quarantine, console)
    return _find(options, root, folder, quarantine, console)


def _undo(quarantine: Quarantine, console: Console) -> int:
    from outliers_bench.apps.clean.report import printable

    back, gone = quarantine.give_back()
    console.print(f"{_photos(back)} back where {'it was' if back == 1 else 'they were'}.")
    if not gone:
        return 0
    console.print(
        f"{_photos(len(gone))} on the list at neither place, {printable(gone[0])} first; the list "
        "is kept.",
        soft_wrap=True,
    )
    return FOUND


def _find(
    options: Clean, root: Path, folder: Path, quarantine: Quarantine, console: Console
) -> int:
    from outliers_bench.apps.clean.findings import Limits
    from outliers_bench.apps.clean.inspection import inspect
    from outliers_bench.apps.clean.report import show
    from outliers_bench.data.image_files import cache_folder

    limits = Limits(options.min_side, options.max_aspect, options.min_contrast)
    moved = options.moved()
    out, cache = out_folder(options.out, root), cache_folder(options.cache)
    found = inspect(root, cache=cache, limits=limits, moved=moved, near=options.near)
    show(found, moved, console)
    for path in _write(found, out, options.pictures):
        console.print(f"Written: {path}", soft_wrap=True)
    if not options.apply:
        if found.going:
            told = f"Nothing was moved; apply=true moves {_photos(len(found.going))} to {folder}"
            console.print(told, soft_wrap=True)
        return FOUND if found.findings else 0
    kinds: dict[str, list[str]] = {name: [] for name in found.going}
    for finding in found.findings:
        if finding.path in kinds:
            kinds[finding.path].append(finding.kind)
    done = quarantine.take(kinds)
    back = "; undo=true puts them back" if done else ""
    console.print(f"{_photos(done)} moved to {folder}{back}", soft_wrap=True)
    return FOUND if any(item.path not in found.going for item in found.findings) else 0


def _write(found: Inspection, out: Path, pictures: int) -> list[Path]:
    """Write what was found; an old contact sheet does not stay beside new findings."""
    from outliers_bench.apps.clean.contact_sheet import draw_sheet
    from outliers_bench.apps.clean.report import write_csv
    from outliers_bench.data.image_files import reason
    from outliers_bench.store.files import written

    table, picture = out / "cleaning.csv", out / "cleaning.jpg"
    try:
        write_csv(found.findings, table)
        sheet = draw_sheet(found, each=pictures)
        if sheet is None:
            picture.unlink(missing_ok=True)
            return [table]
        with written(picture) as aside:
            sheet.save(aside, quality=88)
    except OSError as error:
        raise BenchError(f"out={out}: {reason(error)}; nothing was moved") from None
    return [table, picture]


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Clean, clean, program=PROGRAM, arguments=arguments)
