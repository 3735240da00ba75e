"""`python -m outliers_bench.clean`: find problems in a photo folder and move photos aside."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.options import Clean, resolve_out_folder
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main

if TYPE_CHECKING:
    from rich.console import Console

    from outliers_bench.apps.clean.inspection import Inspection
    from outliers_bench.apps.clean.quarantine import Quarantine

PROGRAM = "python -m outliers_bench.clean"
PROBLEMS_FOUND = 1  # exit code, as of linters


def clean(options: Clean) -> int:
    """Inspect a folder, move photos to the quarantine or restore them; see `Clean`.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    BenchError
        If an option is invalid, or a folder cannot be read or written.
    """
    from rich.console import Console

    from outliers_bench.apps.clean.quarantine import Quarantine
    from outliers_bench.data.image_files import absolute_path, existing_folder

    options.check()
    root = existing_folder(options.root, "root")
    if ".." in root.parts:  # `.quarantine` cannot be appended to a path that ends in ..
        root = root.resolve()
    folder = absolute_path(options.quarantine or f"{root}.quarantine")
    quarantine = Quarantine(root, folder)
    quarantine.check(writing=options.apply)
    # A file or a pipe has no width that the output must fit.
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 200, markup=False)
    if options.undo:
        return _undo(quarantine, console)
    return _inspect_and_move(options, root, folder, quarantine, console)


def _undo(quarantine: Quarantine, console: Console) -> int:
    from outliers_bench.apps.clean.report import escape_unprintable

    restored, missing = quarantine.restore()
    console.print(f"{_photos(restored)} restored.")
    if not missing:
        return 0
    console.print(
        f"{_photos(len(missing))} in neither the quarantine nor the original folder, first "
        f"{escape_unprintable(missing[0])}; undo.jsonl is not deleted.",
        soft_wrap=True,
    )
    return PROBLEMS_FOUND


def _inspect_and_move(
    options: Clean, root: Path, folder: Path, quarantine: Quarantine, console: Console
) -> int:
    from outliers_bench.apps.clean.findings import Limits
    from outliers_bench.apps.clean.inspection import inspect
    from outliers_bench.apps.clean.report import print_report
    from outliers_bench.data.image_files import make_cache_dir

    limits = Limits(options.min_side, options.max_aspect, options.min_contrast)
    kinds_to_move = options.kinds_to_move()
    out, cache = resolve_out_folder(options.out, root), make_cache_dir(options.cache)
    inspection = inspect(
        root, cache=cache, limits=limits, kinds_to_move=kinds_to_move, near=options.near
    )
    print_report(inspection, kinds_to_move, console)
    for path in _write(inspection, out, options.pictures):
        console.print(f"Written: {path}", soft_wrap=True)
    to_move = inspection.to_move
    if not options.apply:
        if to_move:
            message = f"Nothing was moved; apply=true moves {_photos(len(to_move))} to {folder}"
            console.print(message, soft_wrap=True)
        return PROBLEMS_FOUND if inspection.findings else 0
    kinds: dict[str, list[str]] = {name: [] for name in to_move}
    for finding in inspection.findings:
        if finding.path in kinds:
            kinds[finding.path].append(finding.kind)
    moved = quarantine.add(kinds)
    hint = "; undo=true restores them" if moved else ""
    console.print(f"{_photos(moved)} moved to {folder}{hint}", soft_wrap=True)
    return PROBLEMS_FOUND if any(item.path not in to_move for item in inspection.findings) else 0


def _write(inspection: Inspection, out: Path, pictures: int) -> list[Path]:
    """Write the table and the contact sheet; without findings, delete an old contact sheet."""
    from PIL import Image

    from outliers_bench.apps.clean.contact_sheet import draw_sheet
    from outliers_bench.apps.clean.report import write_csv
    from outliers_bench.data.image_files import describe_os_error
    from outliers_bench.store.files import write_atomically

    csv_path, sheet_path = out / "cleaning.csv", out / "cleaning.jpg"
    try:
        write_csv(inspection.findings, csv_path)
        sheet = draw_sheet(inspection, max_findings=pictures)
        if sheet is None:
            sheet_path.unlink(missing_ok=True)
            return [csv_path]
        with write_atomically(sheet_path) as temporary:
            Image.fromarray(sheet).save(temporary, quality=88)
    except OSError as error:
        raise BenchError(f"out={out}: {describe_os_error(error)}; nothing was moved") from None
    return [csv_path, sheet_path]


def _photos(count: int) -> str:
    return f"{count:,} photo{'' if count == 1 else 's'}"


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    return main(Clean, clean, program=PROGRAM, arguments=arguments)
