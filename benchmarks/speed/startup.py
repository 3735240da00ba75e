"""Startup time of commands, and the modules they import."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from benchmarks.speed import child_process
from benchmarks.speed.rows import Row
from benchmarks.speed.settings import Settings, isolated_paths, log, measure_row

HEAVY = ("tensorflow", "keras", "openvino", "mlflow", "pandas", "matplotlib", "sklearn", "cv2")
BENCH = ("-m", "outliers_bench")


def measure(settings: Settings) -> dict[str, Any]:
    """Measure `--help`, a misspelled option, a run on stored features, and TensorFlow alone."""
    log("startup")
    paths = isolated_paths(settings.work / "start-cache", settings.work / "start.db")
    stored = [*BENCH, "data=synthetic", "model=pixels", "k=[1]", *paths]
    commands: dict[str, tuple[list[str], int]] = {
        "python": (["-c", "pass"], 0),
        "help": ([*BENCH, "--help"], 0),
        "mistake": ([*BENCH, "modle=mobilenet"], 2),
        "stored": (stored, 0),
        "tensorflow": (["-c", "import tensorflow"], 0),
    }
    notes = {
        "python": "an interpreter that does nothing",
        "help": "python -m outliers_bench --help",
        "mistake": "python -m outliers_bench modle=mobilenet",
        "stored": "200 generated images, raw pixels, features stored",
        "tensorflow": "import tensorflow, for comparison",
    }
    rows = {name: Row("s", note=notes[name]) for name in commands}
    try:
        child_process.run([sys.executable, *stored], cwd=settings.work)  # fills store and cache
    except child_process.ChildError as error:
        rows["stored"].failed = str(error)
        del commands["stored"]
    for repeat in range(settings.repeats):
        for name in list(commands)[:: 1 if repeat % 2 == 0 else -1]:
            measure_row(rows[name], name, partial(_start, settings, *commands[name]))
    results = {name: row.as_dict() for name, row in rows.items()}
    for name, command in commands.items():
        results[name]["imports"] = _imports(settings, *command)
    return {"rows": results}


def _start(settings: Settings, arguments: list[str], code: int) -> tuple[float, dict]:
    done = child_process.run([sys.executable, *arguments], cwd=settings.work, code=code)
    return done.seconds, {"cpu_seconds": done.cpu_seconds}


def _imports(settings: Settings, arguments: list[str], code: int) -> dict[str, Any]:
    """Count the modules that the process imports, and list the heavy ones among them."""
    try:
        done = child_process.run(
            [sys.executable, "-X", "importtime", *arguments], cwd=settings.work, code=code
        )
    except child_process.ChildError as error:
        return {"failed": str(error)}
    lines = [line for line in done.err.splitlines() if line.startswith("import time:")]
    names = {line.rpartition("|")[2].strip() for line in lines[1:]}
    return {"modules": len(names), "heavy": [name for name in HEAVY if name in names]}
