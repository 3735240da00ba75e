"""What the sections share: where to work, on which photos, how often; and the command line."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed import apart
from benchmarks.speed.rows import Row

ENOUGH = 800  # photos of which 500 components can be had


@dataclass
class Setting:
    """One run of the benchmark.

    Parameters
    ----------
    work : Path
        Folder of everything that is written on the way; removed at the end.
    photos : list of Path
        What is embedded, in class folders below `work/photos`.
    root : Path
        Class folders for whole runs: the user's own, or below `work`.
    root_photos : int
        How many images are in it.
    repeats : int
        Of everything that does not take too long.
    quick : bool
        Whether only to see that everything works.
    torch : str
        Folder to find PyTorch in; empty where it is installed, or not.
    """

    work: Path
    photos: list[Path]
    root: Path
    root_photos: int
    repeats: int
    quick: bool
    torch: str = ""

    @property
    def cache(self) -> Path:
        """Where the converted models are kept; features are not stored here."""
        return self.work / "kept"

    def whole(self, *overrides: str, cache: Path, store: Path) -> apart.Done:
        """A whole run on the photos."""
        photos = ["data=folder", option("data.root", self.root)]
        return bench(*photos, *overrides, *places(cache, store), cwd=self.work)


def bench(*overrides: str, cwd: Path, code: int = 0) -> apart.Done:
    """`python -m outliers_bench ...`, interpreter start and all."""
    return apart.run([sys.executable, "-m", "outliers_bench", *overrides], cwd=cwd, code=code)


def places(cache: Path, store: Path) -> list[str]:
    """The options that keep a run's cache and record away from the user's own."""
    return [option("cache.dir", cache), option("tracking.uri", f"sqlite:///{store}")]


def option(name: str, value: object) -> str:
    """An option whose value Hydra takes as it is: there, only what precedes a quote is escaped."""
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + (m[2] and r"\'"), str(value))
    return f"{name}='{escaped}'"


def take(row: Row, label: str, measure: Callable[[], tuple[float, dict]]) -> None:
    """Measure once more, tell it, and go on without where that fails."""
    try:
        value, details = measure()
    except apart.ChildError as error:
        row.failed = str(error)
        say(f"  {label:<48} failed: {error}")
    else:
        add(row, label, value, details)


def add(row: Row, label: str, value: float, details: dict | None = None) -> None:
    """Take down one more value and tell it."""
    row.values.append(value)
    row.details.append(details or {})
    say(f"  {label:<48} {value:>10,.3g} {row.unit}")


def say(text: str) -> None:
    """Print at once, for whoever watches."""
    print(text, flush=True)


def random_weights(model: str) -> list[str]:
    """The options of a run with a network whose weights need no file."""
    return [f"model={model}", "model.weights=random"]
