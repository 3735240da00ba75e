"""Options of `python -m benchmarks`, checked before any work."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from benchmarks.command_line import Parser
from benchmarks.results_file import read_results
from benchmarks.speed.embedding import has_torch
from benchmarks.speed.photos import default_photos, list_all, list_jpegs
from outliers_bench.errors import BenchError

SECTIONS = ("embedding", "sweep", "search", "pca", "startup", "memory")
PHOTOS, QUICK_PHOTOS = 1_000, 60
SWEEP_PHOTOS = 5_000
RESULTS = Path(__file__).parent / "results"


def parse_options(words: list[str] | None = None) -> argparse.Namespace:
    """Parse and check the command line."""
    parser = Parser(
        prog="python -m benchmarks",
        description="Measure the speed of this project, compared with other implementations and "
        "with the limit of the machine.",
    )
    parser.add_argument(
        "--photos",
        type=Path,
        metavar="FOLDER",
        help=f"photos, preferably in class folders: {PHOTOS:,} JPEGs are embedded, and runs and "
        f"sweeps use all photos, at most {SWEEP_PHOTOS:,}; default: those in the folder that "
        "OUTLIERS_BENCH_SHARED names, or generated ones",
    )
    parser.add_argument(
        "--repeats", type=int, default=3, help="repeats of everything that does not take too long"
    )
    parser.add_argument(
        "--only",
        type=lambda names: names.split(","),
        default=list(SECTIONS),
        metavar="SECTIONS",
        help=f"some of {','.join(SECTIONS)}; merged into the file --out if that is of the same "
        "commit, machine and options",
    )
    parser.add_argument(
        "--quick", action="store_true", help="check that everything works; figures are meaningless"
    )
    parser.add_argument(
        "--torch",
        default="",
        metavar="FOLDER",
        help="folder of `python -m pip install --target FOLDER torch transformers`",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="JSON file to write; default: speed.json, or speed-quick.json with --quick, in "
        "benchmarks/results",
    )
    options = parser.parse_args(words)
    if options.out is None:
        options.out = RESULTS / ("speed-quick.json" if options.quick else "speed.json")
    if options.photos is None and not options.quick:
        options.photos = default_photos()
    if error := _find_error(options):
        parser.error(error)
    if options.photos is not None:
        options.photos = options.photos.absolute()
    if options.torch:
        options.torch = str(Path(options.torch).absolute())
    if options.quick:
        options.repeats = 1
    return options


def _find_error(options: argparse.Namespace) -> str:
    """Return the first error in the options; empty without one."""
    if unknown := [name for name in options.only if name not in SECTIONS]:
        return f"--only {','.join(unknown)}: there are {','.join(SECTIONS)}"
    if options.repeats < 1:
        return f"--repeats {options.repeats}: must be 1 or more"
    if options.torch and not has_torch(options.torch):
        return (
            f"--torch {options.torch}: torch and transformers are not in this folder; python -m "
            f"pip install --target {options.torch} torch transformers"
        )
    return _find_photos_error(options.photos) or _find_out_error(options.out)


def _find_photos_error(folder: Path | None) -> str:
    if folder is None:
        return ""
    if not folder.is_dir():
        return f"--photos {folder}: no such folder"
    try:
        list_all(folder)
    except BenchError as error:
        return f"--photos {folder}: {error}"
    if not list_jpegs(folder):
        return f"--photos {folder}: no JPEGs in this folder, the only format read by all libraries"
    return ""


def _find_out_error(file: Path) -> str:
    if file.is_dir():
        return f"--out {file}: is a folder; give a file in it"
    if file.exists():
        try:
            read_results(file)
        except ValueError as error:
            return f"--out {file}: {error}; it is not overwritten"
    parent = next(folder for folder in file.absolute().parents if folder.exists())
    if not parent.is_dir():
        return f"--out {file}: {parent} is not a folder"
    if not os.access(parent, os.W_OK):
        return f"--out {file}: {parent} is not writable"
    return ""
