"""`python -m outliers_bench.search`: search a run's gallery with new photos."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from omegaconf import MISSING

from outliers_bench.errors import BenchError
from outliers_bench.runtime.command_line import main
from outliers_bench.runtime.units import list_first

if TYPE_CHECKING:
    from outliers_bench.serving.engine import SearchResult
    from outliers_bench.serving.queries import Queries
    from outliers_bench.serving.saved_run import SavedRun

PROGRAM = "python -m outliers_bench.search"
SOME_UNREADABLE = 1  # exit code
_LISTED = 5  # unavailable photos of the gallery that are listed


class Format(Enum):
    """Output format."""

    table = "table"
    json = "json"


@dataclass
class Options:
    """Find the photos in a finished run's gallery that are most similar to yours.

    Parameters
    ----------
    run : str
        Id of the run, as shown after every run and in MLflow; a prefix of it, four digits or
        more; or last for the run that finished last.
    photos : list of str
        Photos to search for: files, and folders, which are searched recursively.
    n : int
        Number of hits per photo.
    sheet : str or None
        Contact sheet to write, a .jpg or .png; null for none.
    format : Format
        table, or json: one object on standard output and nothing else.
    uri : str
        MLflow tracking URI; only used for runs that are not saved in the cache.
    cache : str or None
        Cache directory; null is OUTLIERS_BENCH_CACHE or ~/.cache/outliers_bench, and for results
        of the run the cache that it used.
    """

    run: str = MISSING
    photos: list[str] = field(default_factory=list)
    n: int = 10
    sheet: str | None = "search.jpg"
    format: Format = Format.table
    uri: str = "sqlite:///mlflow.db"
    cache: str | None = None


def search_run(options: Options) -> int:
    """Search the gallery of a run and print the hits.

    Returns the exit code: 0, or 1 if some of the photos cannot be read.

    Raises
    ------
    BenchError
        If there is no such run, no photo can be read, or the sheet cannot be written.
    """
    if options.n < 1:
        raise BenchError(f"n={options.n}: give 1 or more")
    from outliers_bench.apps.search.output import to_json, to_table
    from outliers_bench.serving.queries import list_queries, open_queries

    sheet = _sheet_path(options)
    paths = list_queries(options.photos, exclude=sheet)
    if sheet in paths and sheet.exists():
        raise BenchError(f"sheet={options.sheet} is a photo to search for; choose another file")
    # Messages of libraries must not be mixed with the output.
    with redirect_stdout(sys.stderr):
        from outliers_bench.serving.engine import Engine
        from outliers_bench.serving.load import open_run

        saved, cache = open_run(options.run, uri=options.uri, cache=options.cache)
        if sheet is not None and saved.contains(sheet):
            raise BenchError(f"sheet={options.sheet} is a photo of the run; choose another file")
        queries = open_queries(paths, cache=cache)
        result = Engine(saved, cache).query(queries, options.n)
        _report(result)
        if sheet is not None:
            _draw(result, saved, queries, sheet)
    if options.format is Format.json:
        print(to_json(result, saved, sheet=sheet))
    else:
        gallery = f"{saved.data}: {len(result.images):,} photos"
        print(f"{saved.name}  on  {gallery}, run {saved.run_id[:8]}")
        print(f"\n{to_table(result)}")
        if sheet is not None:
            print(f"\nsheet  {sheet}")
    return SOME_UNREADABLE if result.unreadable else 0


def _sheet_path(options: Options) -> Path | None:
    """Return the absolute path of the contact sheet."""
    if options.sheet is None:
        return None
    from outliers_bench.apps.search.contact_sheet import check_sheet
    from outliers_bench.data.image_files import absolute_path

    sheet = Path(os.path.normpath(absolute_path(options.sheet, "sheet")))
    check_sheet(sheet)
    return sheet


def _report(result: SearchResult) -> None:
    """Print the photos that are excluded; raise BenchError if no query can be read."""
    from outliers_bench.apps.search.output import relative_path

    for path, reason in result.unreadable.items():
        print(f"excluded: {relative_path(path)}: {reason}", file=sys.stderr)
    if not result.hits:
        raise BenchError("none of the photos to search for can be read")
    if unavailable := result.unavailable:
        listed = [f"{name} ({reason})" for name, reason in unavailable.items()]
        print(
            f"excluded: {len(unavailable):,} of the {len(result.images):,} photos in the run's "
            f"gallery are missing or have changed: {list_first(listed, _LISTED)}",
            file=sys.stderr,
        )


def _draw(result: SearchResult, saved: SavedRun, photos: Queries, sheet: Path) -> None:
    from outliers_bench.apps.search.contact_sheet import write_sheet

    queries = photos.images()
    heading = f"{saved.name}   |   {saved.data}"
    drawn = write_sheet(result.hits, sheet, queries=queries, gallery=result.images, heading=heading)
    if drawn < len(result.hits):
        print(f"the sheet shows {drawn:,} of {len(result.hits):,} photos", file=sys.stderr)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    # Imports create hundreds of thousands of permanent objects, which slow garbage collection.
    gc.set_threshold(50_000, 20, 20)
    return main(Options, search_run, program=PROGRAM, positional="photos", arguments=arguments)
