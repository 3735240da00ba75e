"""Start-up: how long a first word takes, and what is imported for it."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

from benchmarks.speed import apart
from benchmarks.speed.rows import Row
from benchmarks.speed.setting import Setting, places, say, take

HEAVY = ("tensorflow", "keras", "openvino", "mlflow", "pandas", "matplotlib", "sklearn", "cv2")
BENCH = ("-m", "outliers_bench")


def measure(setting: Setting) -> dict[str, Any]:
    """`--help`, a misspelled option, a run on stored features; and TensorFlow alone beside them."""
    say("start-up")
    home = places(setting.work / "start-cache", setting.work / "start.db")
    stored = [*BENCH, "data=synthetic", "model=pixels", "k=[1]", *home]
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
        "stored": "200 drawn pictures, raw pixels, all stored",
        "tensorflow": "import tensorflow, for comparison",
    }
    rows = {name: Row("s", note=notes[name]) for name in commands}
    try:
        apart.run([sys.executable, *stored], cwd=setting.work)  # fills store and cache
    except apart.ChildError as error:
        rows["stored"].failed = str(error)
        del commands["stored"]
    for repeat in range(setting.repeats):
        for name in list(commands)[:: 1 if repeat % 2 == 0 else -1]:
            take(rows[name], name, partial(_start, setting, *commands[name]))
    told = {name: row.as_dict() for name, row in rows.items()}
    for name, command in commands.items():
        told[name]["imports"] = _imports(setting, *command)
    return {"rows": told}


def _start(setting: Setting, words: list[str], code: int) -> tuple[float, dict]:
    done = apart.run([sys.executable, *words], cwd=setting.work, code=code)
    return done.seconds, {"cpu_seconds": done.cpu_seconds}


def _imports(setting: Setting, words: list[str], code: int) -> dict[str, Any]:
    """How many modules the process imports, and which of the heavy ones."""
    try:
        done = apart.run([sys.executable, "-X", "importtime", *words], cwd=setting.work, code=code)
    except apart.ChildError as error:
        return {"failed": str(error)}
    lines = [line for line in done.err.splitlines() if line.startswith("import time:")]
    names = {line.rpartition("|")[2].strip() for line in lines[1:]}
    return {"modules": len(names), "heavy": [name for name in HEAVY if name in names]}
