"""Times at which photos were taken, from their EXIF data; cached by content."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np

from outliers_bench.data.crop_reader import split_name
from outliers_bench.data.formats.exif_time import read_exif_time
from outliers_bench.data.image_files import FileReader
from outliers_bench.data.times import NoTimeError, parse_times
from outliers_bench.errors import BenchError
from outliers_bench.runtime.machine import cores
from outliers_bench.runtime.progress import track
from outliers_bench.store import files, memo
from outliers_bench.types import TIME, ImageSet

_VERSION = 1
_SETS = 100  # sets of photos whose times are cached
_FILES_PER_TASK = 64
_log = logging.getLogger(__name__)


def with_times(
    parts: Sequence[ImageSet], *, cache: Path, place: str, needed_by: str
) -> list[ImageSet]:
    """Return the parts of a split with the column `time`, from EXIF if there is none.

    Parameters
    ----------
    parts : sequence of ImageSet
        With one reader.
    cache : Path
        Cache directory: the times of a set of photos are read once.
    place : str
        Name of the data in messages.
    needed_by : str
        The option that needs times, for messages.

    Raises
    ------
    BenchError
        If no photo has a time.
    """
    if all(TIME in part.columns for part in parts):
        if not any((~np.isnat(part.columns[TIME])).any() for part in parts):
            raise BenchError(f"{place}: {needed_by} needs times, and the column time is empty")
        return list(parts)
    reader = parts[0].reader
    if not isinstance(reader, FileReader):
        raise BenchError(
            f"{place}: {needed_by} needs times, and there is no column time; these images are not "
            "files with EXIF data"
        )
    dated = [_with_exif(part, reader, cache) for part in parts]
    total = sum(map(len, dated))
    without = sum(int(np.isnat(part.columns[TIME]).sum()) for part in dated)
    if without == total:
        raise BenchError(
            f"{place}: {needed_by} needs times; there is no column time, and none of {total:,} "
            "photos has DateTimeOriginal in its EXIF data: add a column time to a table "
            "(data=manifest), or read it from the path by (?P<time>...) in data.label_pattern"
        )
    _log.warning(
        "%s: time is DateTimeOriginal of the photos' EXIF data; %s of %s have none",
        *(place, f"{without:,}", f"{total:,}"),
    )
    return dated


def _with_exif(images: ImageSet, reader: FileReader, cache: Path) -> ImageSet:
    content = np.frombuffer(b"".join(sorted(images.digests)), np.uint8)
    path = cache / "times" / f"{files.digest_of({'version': _VERSION}, content)}.npz"
    order = np.argsort(np.array(images.digests, "S16"), kind="stable")
    stored = memo.load(path, files.read_arrays)
    if stored is not None and stored["times"].shape == (len(images),):
        times = np.empty(len(images), "M8[us]")
        times[order] = stored["times"].view("M8[us]")
    else:
        found = _read_times(reader, [split_name(name)[0] for name in images.names])
        times = np.array(found, "M8[us]")
        if None not in found:
            files.save_arrays(path, times=times[order].view(np.int64))
            memo.remove_oldest(path, _SETS)
    return replace(images, columns={**images.columns, TIME: times})


def _read_times(reader: FileReader, names: Sequence[str]) -> list[np.datetime64 | None]:
    """Return the time of each photo: NaT without one, None if the file cannot be opened."""
    tasks = [names[at : at + _FILES_PER_TASK] for at in range(0, len(names), _FILES_PER_TASK)]
    with warnings.catch_warnings(), ThreadPoolExecutor(min(8, 2 * cores())) as pool:
        warnings.simplefilter("ignore")  # Pillow's, of damaged data
        done = pool.map(lambda task: [_read_time(reader, name) for name in task], tasks)
        return [time for task in track(done, stage="exif", total=len(tasks)) for time in task]


def _read_time(reader: FileReader, name: str) -> np.datetime64 | None:
    try:
        times = parse_times([read_exif_time(reader.root / name)]).values
    except NoTimeError:
        times = np.array(["NaT"], "M8[us]")
    except OSError:  # reported where the photo is decoded
        return None
    time: np.datetime64 = times[0]
    return time
