"""`python -m outliers_bench.clean`: find problems in a photo folder and move photos aside."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from outliers_bench.apps.clean.options import Clean
from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main

if TYPE_CHECKING:
    from outliers_bench.apps.clean.inspection import Inspection
    from outliers_bench.apps.clean.quarantine import Quarantine

PROGRAM = "python -m outliers_bench.clean"
PROBLEMS_FOUND = 1  # exit code, as of linters


def clean(options: Clean) -> int:
    """Inspect a folder, move photos to the quarantine or restore them; see `Clean`."""
    from outliers_bench.apps.clean.quarantine import Quarantine
    from outliers_bench.data.image_files import absolute_path, existing_folder

    options.check()
    root = existing_folder(options.root, "root")
    if ".." in root.parts:  # `.quarantine` cannot be appended to a path that ends in ..
        root = root.resolve()
    folder = absolute_path(options.quarantine or f"{root}.quarantine", "quarantine")
    quarantine = Quarantine(root, folder)
    quarantine.check(writing=options.apply)
    if options.undo:
        return _undo(quarantine)
    return _inspect_and_move(options, root, folder, quarantine)


def _undo(quarantine: Quarantine) -> int:
    from outliers_bench.apps.clean.report import escape_unprintable

    restored, missing = quarantine.restore()
    print(f"{_photos(restored)} restored.")
    if not missing:
        return 0
    print(
        f"{_photos(len(missing))} in neither the quarantine nor the original folder, first "
        f"{escape_unprintable(missing[0])}; undo.jsonl is not deleted."
    )
    return PROBLEMS_FOUND


def _inspect_and_move(options: Clean, root: Path, folder: Path, quarantine: Quarantine) -> int:
    from outliers_bench.apps.clean.inspection import inspect
    from outliers_bench.apps.clean.report import print_report
    from outliers_bench.data.image_files import make_cache_dir

    out = options.out_folder(root)
    inspection = inspect(root, options, cache=make_cache_dir(options.cache))
    print_report(inspection, options.kinds_to_move())
    for path in _write(inspection, out, options.pictures):
        print(f"Written: {path}")
    to_move = inspection.to_move
    if not options.apply:
        if to_move:
            print(f"Nothing was moved; apply=true moves {_photos(len(to_move))} to {folder}")
        return PROBLEMS_FOUND if inspection.findings else 0
    kinds: dict[str, list[str]] = {name: [] for name in to_move}
    for finding in inspection.findings:
        if finding.path in kinds:
            kinds[finding.path].append(finding.kind)
    moved = quarantine.add(kinds)
    print(f"{_photos(moved)} moved to {folder}{'; undo=true restores them' if moved else ''}")
    return PROBLEMS_FOUND if any(item.path not in to_move for item in inspection.findings) else 0


def _write(inspection: Inspection, out: Path, pictures: int) -> list[Path]:
    """Write the table and the contact sheet; without findings, delete an old contact sheet."""
    from PIL import Image

    from outliers_bench.apps.clean.contact_sheet import draw_sheet
    from outliers_bench.apps.clean.report import write_findings
    from outliers_bench.data.image_files import describe_os_error
    from outliers_bench.store.files import write_atomically

    csv_path, sheet_path = out / "cleaning.csv", out / "cleaning.jpg"
    try:
        write_findings(inspection.findings, csv_path)
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
