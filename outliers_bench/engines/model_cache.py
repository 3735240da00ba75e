"""Cache of OpenVINO models on disk, each in a folder with a record of its conversion."""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError
from outliers_bench.store.features import Space, file_stem

MODEL = "model.xml"
RECORD = "conversion.json"
STALE_SECONDS = 24 * 3600.0  # no model takes that long to make


def model_path(space: Space, cache: Path) -> Path:
    """Return the path of the .xml file of a space's model, which may not exist yet."""
    return cache / "models" / file_stem(space) / MODEL


def read_record(model: Path) -> dict[str, Any]:
    """Read the record of a cached model; empty if it cannot be read."""
    with suppress(OSError, ValueError):
        record = json.loads(model.with_name(RECORD).read_text())
        return record if isinstance(record, dict) else {}
    return {}


def store_model(model: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    """Make a model and store it with its record.

    Parameters
    ----------
    model : Path
        From `model_path`.
    make : callable
        Writes the model to the given path and returns its record.

    Raises
    ------
    BenchError
        If the model cannot be written, for example because the disk is full.
    """
    home = model.parent
    refused = f"cache.dir={home.parents[1]}: cannot store a model in {home.parent}"
    try:
        _make_in_temporary_folder(home, make)
    except (OSError, RuntimeError) as error:  # OpenVINO raises RuntimeError if the disk is full
        raise BenchError(f"{refused}: {str(error).strip().partition(chr(10))[0]}") from error
    if not model.exists():
        raise BenchError(refused)


def _make_in_temporary_folder(home: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(home)
    # Renamed when complete: neither a kill nor a second process leaves half a model.
    temporary = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}-"))
    try:
        record = make(temporary / MODEL)
        (temporary / RECORD).write_text(json.dumps(record, indent=2) + "\n")
        with suppress(OSError):  # another process was faster; its model is just as good
            temporary.rename(home)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _remove_leftovers(home: Path) -> None:
    """Remove the temporary folders of processes that were killed long ago."""
    for leftover in home.parent.glob(f".{home.name}-*"):
        if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
