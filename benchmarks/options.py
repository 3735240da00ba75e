"""What `python -m benchmarks` is asked for; every mistake in it is told before the work."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.command_line import Parser
from benchmarks.record import read
from benchmarks.speed.embedding import has_torch
from benchmarks.speed.photos import default_photos, every, jpegs
from outliers_bench.errors import BenchError

SECTIONS = ("embedding", "economy", "search", "pca", "startup", "memory")
PHOTOS, QUICK_PHOTOS = 1_000, 60
ECONOMY_PHOTOS = 5_000
RESULTS = Path(__file__).parent / "results"


def options(words: list[str] | None = None) -> argparse.Namespace:
    """What was asked for on the command line, checked."""
    parser = Parser(
        prog="python -m benchmarks",
        description="How fast it is, beside other ways and beside what the machine can do at all.",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help=f"photos, best in class folders: {PHOTOS:,} JPEGs of them are embedded, and all of "
        f"them, or {ECONOMY_PHOTOS:,} where there are more, are what first runs and variants are "
        "made of; left out: those that OUTLIERS_BENCH_SHARED names, or drawn ones",
    )
    parser.add_argument("--repeats", type=int, default=3, help="of what does not take too long")
    parser.add_argument(
        "--only",
        type=lambda names: names.split(","),
        default=list(SECTIONS),
        metavar="SECTIONS",
        help=f"some of {','.join(SECTIONS)}; put beside what --out holds already, if that is of "
        "the same commit, machine and options",
    )
    parser.add_argument(
        "--quick", action="store_true", help="see that it works: the figures mean nothing"
    )
    parser.add_argument(
        "--torch",
        default="",
        metavar="FOLDER",
        help="where `python -m pip install --target FOLDER torch transformers` has put them",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="the JSON that is written; left out: speed.json, or speed-quick.json with --quick, in "
        "benchmarks/results",
    )
    given = parser.parse_args(words)
    if given.out is None:
        given.out = RESULTS / ("speed-quick.json" if given.quick else "speed.json")
    if given.photos is None and not given.quick:
        given.photos = default_photos()
    if mistake := _mistake(given):
        parser.error(mistake)
    if given.photos is not None:
        given.photos = given.photos.absolute()
    if given.torch:
        given.torch = str(Path(given.torch).absolute())
    if given.quick:
        given.repeats = 1
    return given


def _mistake(given: argparse.Namespace) -> str:
    """The first thing that is wrong, or nothing."""
    if unknown := [name for name in given.only if name not in SECTIONS]:
        return f"--only {','.join(unknown)}: there are {','.join(SECTIONS)}"
    if given.repeats < 1:
        return f"--repeats {given.repeats}: 1 or more"
    if given.torch and not has_torch(given.torch):
        return (
            f"--torch {given.torch}: torch and transformers are not in this folder; python -m "
            f"pip install --target {given.torch} torch transformers"
        )
    return _photos_mistake(given.photos) or _out_mistake(given.out)


def _photos_mistake(folder: Path | None) -> str:
    if folder is None:
        return ""
    if not folder.is_dir():
        return f"--photos {folder}: there is no such folder"
    try:
        every(folder)
    except BenchError as error:
        return f"--photos {folder}: {error}"
    if not jpegs(folder):
        return f"--photos {folder}: no JPEGs in this folder, which are what all ways can read"
    return ""


def _out_mistake(file: Path) -> str:
    if file.is_dir():
        return f"--out {file}: is a folder; name a file in it"
    if file.exists():
        try:
            read(file)
        except ValueError as error:
            return f"--out {file}: {error}; it is not overwritten"
    above = next(folder for folder in file.absolute().parents if folder.exists())
    if not above.is_dir():
        return f"--out {file}: {above} is no folder"
    if not os.access(above, os.W_OK):
        return f"--out {file}: nothing can be written into {above}"
    return ""
