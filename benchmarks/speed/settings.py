"""Settings of a benchmark run, shared by all sections; runs of `outliers_bench`."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks.speed import child_process
from benchmarks.speed.rows import Row

MIN_PHOTOS = 800  # for a PCA with 500 components


@dataclass
class Settings:
    """Settings of a run of the benchmark.

    Parameters
    ----------
    work : Path
        Folder of all temporary files; removed at the end.
    photos : list of Path
        Photos to embed, in class folders below `work/photos`.
    root : Path
        Class folders for full commands: those of the user, or below `work`.
    root_photos : int
        Number of images in `root`.
    repeats : int
        Repeats of everything that does not take too long.
    quick : bool
        Only check that everything works.
    torch : str
        Folder of PyTorch; empty for the installed one, if any.
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
        """Folder of the converted models; no features are stored in it."""
        return self.work / "converted"

    def run_benchmark(
        self, *overrides: str, cache: Path, store: Path
    ) -> child_process.CompletedRun:
        """Run the full command on the photos in `root`."""
        photos = ["data=folder", hydra_option("data.root", self.root)]
        return run_bench(*photos, *overrides, *isolated_paths(cache, store), cwd=self.work)


def run_bench(*overrides: str, cwd: Path, code: int = 0) -> child_process.CompletedRun:
    """Run `python -m outliers_bench ...` in a new interpreter."""
    return child_process.run(
        [sys.executable, "-m", "outliers_bench", *overrides], cwd=cwd, code=code
    )


def isolated_paths(cache: Path, store: Path) -> list[str]:
    """Return the options that separate cache and tracking store from those of the user."""
    return [hydra_option("cache.dir", cache), hydra_option("tracking.uri", f"sqlite:///{store}")]


def hydra_option(name: str, value: object) -> str:
    """Quote an option so that Hydra takes its value literally."""
    # Within Hydra's quotes, only quotes and the backslashes before them are escaped.
    escaped = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + (m[2] and r"\'"), str(value))
    return f"{name}='{escaped}'"


def measure_row(row: Row, label: str, measure: Callable[[], tuple[float, dict]]) -> None:
    """Add a measurement to a row; record and print a failure instead of raising it."""
    try:
        value, details = measure()
    except child_process.ChildError as error:
        row.failed = str(error)
        log(f"  {label:<48} failed: {error}")
    else:
        add_value(row, label, value, details)


def add_value(row: Row, label: str, value: float, details: dict | None = None) -> None:
    """Add a value to a row and print it."""
    row.values.append(value)
    row.details.append(details or {})
    log(f"  {label:<48} {value:>10,.3g} {row.unit}")


def log(text: str) -> None:
    """Print without buffering."""
    print(text, flush=True)


def random_weights(model: str) -> list[str]:
    """Return the options of a network with random weights, which need no file."""
    return [f"model={model}", "model.weights=random"]
