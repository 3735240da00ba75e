"""OpenVINO models on disk, each in a folder with a record of how it was made."""

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
STALE_SECONDS = 24 * 3600.0  # seconds; nothing takes that long to make


def model_path(space: Space, cache: Path) -> Path:
    """Where the model of a space is kept: the .xml file, which need not be there."""
    return cache / "models" / file_stem(space) / MODEL


def read_record(model: Path) -> dict[str, Any]:
    """How a kept model was made; empty where its record cannot be read."""
    with suppress(OSError, ValueError):
        found = json.loads(model.with_name(RECORD).read_text())
        return found if isinstance(found, dict) else {}
    return {}


def store_model(model: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    """Make a model, and keep it with its record.

    Parameters
    ----------
    model : Path
        From `model_path`.
    make : callable
        Writes the model to the path that it is given, and returns what is to be recorded.

    Raises
    ------
    BenchError
        If it cannot be written, as where there is no room for it.
    """
    home = model.parent
    refused = f"cache.dir={home.parents[1]}: a model cannot be kept in {home.parent}"
    try:
        _make_in_temporary_folder(home, make)
    except (OSError, RuntimeError) as error:  # what OpenVINO raises for a full disk
        raise BenchError(f"{refused}: {str(error).strip().partition(chr(10))[0]}") from error
    if not model.exists():
        raise BenchError(refused)


def _make_in_temporary_folder(home: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    home.parent.mkdir(parents=True, exist_ok=True)
    _remove_leftovers(home)
    # Made aside and moved in one step: neither a kill nor a second process leaves half a model.
    aside = Path(tempfile.mkdtemp(dir=home.parent, prefix=f".{home.name}-"))
    try:
        made = make(aside / MODEL)
        (aside / RECORD).write_text(json.dumps(made, indent=2) + "\n")
        with suppress(OSError):  # another process was faster; its model is as good
            aside.rename(home)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _remove_leftovers(home: Path) -> None:
    """Remove what was left behind by processes that were killed long ago."""
    for leftover in home.parent.glob(f".{home.name}-*"):
        if time.time() - leftover.stat().st_mtime > STALE_SECONDS:
            shutil.rmtree(leftover, ignore_errors=True)
