"""Published tables of the original: their rows and their figures."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import cast

from omegaconf import DictConfig, OmegaConf

from outliers_bench.config.paths import config_groups, resource_dir
from outliers_bench.errors import BenchError


@dataclass
class Published:
    """Row of a published table; all None for other runs.

    Parameters
    ----------
    table, row : str or None
        Folder and file below experiments/; filled in from there.
    title : str or None
        Name of the row in the slides.
    place : int or None
        Position in the table, from 1.
    top_1, top_3, top_5, top_10 : float or None
        Published figures, as fractions. How they were computed is unknown; they cannot all be hit
        rates (docs/published.md).
    note : str or None
        Choices that the slides do not state.
    """

    table: str | None = None
    row: str | None = None
    title: str | None = None
    place: int | None = None
    top_1: float | None = None
    top_3: float | None = None
    top_5: float | None = None
    top_10: float | None = None
    note: str | None = None

    def check(self) -> None:
        """Raise `BenchError` unless this is empty, or equal to a row in experiments/."""
        if self != Published() and (
            self.table not in tables() or self not in read_table(self.table)
        ):
            raise BenchError(
                "published is filled in by experiments/ and cannot be given; "
                "choose a row with +experiments/<table>=<row>"
            )


def tables() -> tuple[str, ...]:
    """Names of the published tables."""
    return tuple(_files())


def read_table(name: str) -> tuple[Published, ...]:
    """Return the rows of a published table, in the published order; `BenchError` if unknown."""
    files = _files().get(name)
    if files is None:
        raise BenchError(f"{name}: no published table; available: {', '.join(tables())}")
    schema = OmegaConf.structured(Published)
    rows: list[Published] = [
        OmegaConf.to_object(OmegaConf.merge(schema, _load_row(file)))  # type: ignore[misc]
        for file in files
    ]
    return tuple(sorted(rows, key=lambda row: (row.place or len(rows), str(row.row))))


def name_row(node: DictConfig, file: Path) -> None:
    """Name the published table and row in the options of a file below experiments/."""
    if "published" in node:
        node.published.update(table=file.parent.name, row=file.stem)


@cache  # as every job of a sweep loads it
def _load_row(file: Path) -> DictConfig:
    node = cast("DictConfig", OmegaConf.load(file))
    name_row(node, file)
    return cast("DictConfig", node.published)


def _files() -> dict[str, list[Path]]:
    """Return the files of each published table."""
    groups = config_groups(resource_dir("experiments"), "experiments")
    return {group.partition("/")[2]: files for group, files in groups if "/" in group}
