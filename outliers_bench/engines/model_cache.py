"""Cache of OpenVINO models on disk, each in a folder with a record of its conversion."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from outliers_bench.errors import BenchError
from outliers_bench.store.features import Space, file_stem
from outliers_bench.store.files import remove, write_atomically
from outliers_bench.store.memo import locked
from outliers_bench.store.seal import is_intact, seal

MODEL = "model.xml"
RECORD = "conversion.json"
FILES = (MODEL, "model.bin", RECORD)  # a file of measurements lies next to them


def model_path(space: Space, cache: Path) -> Path:
    """Return the path of the .xml file of a space's model, which may not exist yet."""
    return cache / "models" / file_stem(space) / MODEL


def is_stored(model: Path) -> bool:
    """Check whether a model is in the cache and, once per process, that it is not damaged."""
    return model.exists() and is_intact(model.parent, FILES)


def read_record(model: Path) -> dict[str, Any]:
    """Read the record of a cached model; empty if it cannot be read."""
    with suppress(OSError, ValueError):
        record = json.loads(model.with_name(RECORD).read_text())
        return record if isinstance(record, dict) else {}
    return {}


def store_model(model: Path, make: Callable[[Path], dict[str, Any]]) -> None:
    """Make a model and store it with its record, unless another process has done so.

    `make` writes the model to the given path and returns its record.

    Raises
    ------
    BenchError
        If the model cannot be written, for example because the disk is full.
    """
    home = model.parent
    refused = f"cache.dir={home.parents[1]}: cannot store a model in {home.parent}"
    try:
        with locked(home):
            if not is_stored(model):
                remove(home)
                with write_atomically(home) as aside:
                    aside.mkdir()
                    record = make(aside / MODEL)
                    (aside / RECORD).write_text(json.dumps(record, indent=2) + "\n")
                    seal(aside, FILES)
    except (OSError, RuntimeError) as error:  # OpenVINO raises RuntimeError if the disk is full
        raise BenchError(f"{refused}: {str(error).strip().partition(chr(10))[0]}") from error
    if not model.exists():
        raise BenchError(refused)
