"""`python -m outliers_bench.search`: the photos of a run's gallery that are most like another."""

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

if TYPE_CHECKING:
    from outliers_bench.serving.engine import Answer
    from outliers_bench.serving.queries import Queries
    from outliers_bench.serving.saved_run import SavedRun

PROGRAM = "python -m outliers_bench.search"
NOT_ALL = 1  # exit code where some photos could not be read
_TOLD = 5  # photos of the gallery that are gone and named


class Format(Enum):
    """How the answer is written."""

    table = "table"
    json = "json"


@dataclass
class Options:
    """Find the photos of a finished run's gallery that are most like yours, as the run ranks.

    Parameters
    ----------
    run : str
        The run: its id, as shown after every run and in MLflow; a beginning of it, four digits or
        more; or last, for the one that finished last.
    photos : list of str
        What to search for: files, and folders, which are looked through at any depth.
    n : int
        How many photos to find for each.
    sheet : str or None
        Contact sheet to write, a .jpg or .png; null for none.
    format : Format
        table, or json: one object on standard output and nothing else.
    uri : str
        Where runs are recorded; asked only about runs of which the cache has no card.
    cache : str or None
        What runs have computed; null takes OUTLIERS_BENCH_CACHE or ~/.cache/outliers_bench, and the
        run's own where that is another.
    """

    run: str = MISSING
    photos: list[str] = field(default_factory=list)
    n: int = 10
    sheet: str | None = "search.jpg"
    format: Format = Format.table
    uri: str = "sqlite:///mlflow.db"
    cache: str | None = None


def work(options: Options) -> int:
    """Search, and tell what was found.

    Returns
    -------
    int
        Exit code: 0, or 1 where some of the photos cannot be read.

    Raises
    ------
    BenchError
        If there is no such run, nothing can be read, or the sheet cannot be written.
    """
    if options.n < 1:
        raise BenchError(f"n={options.n}: find at least one photo")
    from outliers_bench.apps.search.output import as_json, as_table
    from outliers_bench.serving.queries import list_queries, open_queries

    sheet = _sheet(options)
    paths = list_queries(options.photos, but=sheet)
    if sheet in paths and sheet.exists():
        raise BenchError(f"sheet={options.sheet} is a photo to search for; name another file")
    # What libraries print must not stand in the answer.
    with redirect_stdout(sys.stderr):
        from outliers_bench.serving.engine import search
        from outliers_bench.serving.load import open_run

        card, cache = open_run(options.run, uri=options.uri, cache=options.cache)
        if sheet is not None and card.has(sheet):
            raise BenchError(f"sheet={options.sheet} is a photo of the run; name another file")
        asked = open_queries(paths, cache=cache)
        answer = search(card, asked, n=options.n, cache=cache)
        _tell(answer)
        if sheet is not None:
            _draw(answer, card, asked, sheet)
    if options.format is Format.json:
        print(as_json(answer, card, sheet=sheet))
    else:
        print(f"{card.name}  on  {card.data}: {len(answer.images):,} photos, run {card.run_id[:8]}")
        print(f"\n{as_table(answer)}")
        if sheet is not None:
            print(f"\nsheet  {sheet}")
    return NOT_ALL if answer.unreadable else 0


def _sheet(options: Options) -> Path | None:
    """Where the contact sheet goes, absolute."""
    if options.sheet is None:
        return None
    from outliers_bench.apps.search.contact_sheet import check_sheet
    from outliers_bench.data.image_files import absolute_path

    sheet = Path(os.path.normpath(absolute_path(options.sheet)))
    check_sheet(sheet)
    return sheet


def _tell(answer: Answer) -> None:
    """Say what could not be read or is gone; refuse to go on where nothing is left."""
    from outliers_bench.apps.search.output import shorter

    for path, why in answer.unreadable.items():
        print(f"left out: {shorter(path)}: {why}", file=sys.stderr)
    if not answer.hits:
        raise BenchError("none of the photos to search for can be read")
    if answer.gone:
        named = [f"{name} ({why})" for name, why in list(answer.gone.items())[:_TOLD]]
        more = ", ..." if len(answer.gone) > _TOLD else ""
        print(
            f"left out: {len(answer.gone):,} of the {len(answer.images):,} photos in the run's "
            f"gallery are not what they were: {', '.join(named)}{more}",
            file=sys.stderr,
        )


def _draw(answer: Answer, card: SavedRun, asked: Queries, sheet: Path) -> None:
    from outliers_bench.apps.search.contact_sheet import write_sheet

    queries = asked.images(answer.images.reader)
    heading = f"{card.name}   |   {card.data}"
    drawn = write_sheet(answer.hits, sheet, queries=queries, gallery=answer.images, heading=heading)
    if drawn < len(answer.hits):
        print(f"the sheet shows {drawn:,} of {len(answer.hits):,} photos", file=sys.stderr)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command; see `command_line.main` for `arguments` and the exit code."""
    # Importing makes hundreds of thousands of objects that stay; collecting meanwhile takes time.
    gc.set_threshold(50_000, 20, 20)
    return main(Options, work, program=PROGRAM, positional="photos", arguments=arguments)
