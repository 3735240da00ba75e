"""Summary of the results for the README, in three rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report.cells import percent, table, three_digits, value_and_range
from benchmarks.speed.goals import median_ratio_of, variant_costs

Section = dict[str, Any]


def readme_rows(results: dict[str, Any]) -> str:
    """Format one row each for embedding, sweep and search, if they were measured."""
    rows = []
    for name, section_rows in ROWS.items():
        section = results["results"].get(name)
        if section and not section.get("failed"):
            rows += section_rows(section)
    return table(("", "", "compared with"), rows)


def _embedding(section: Section) -> Iterator[tuple[str, str, str]]:
    if rows := section["backbones"].get("mobilenet"):
        of_limit = percent(median_ratio_of(rows, "ours", "limit"))
        yield (
            "photos on disk to stored features, MobileNet 224",
            f"{value_and_range(rows['ours'])} photos/s",
            _join(
                _phrase("{} of the machine's limit", of_limit),
                _speedup(rows, "notebook", "Keras photo by photo"),
            ),
        )


def _sweep(section: Section) -> Iterator[tuple[str, str, str]]:
    rows = section["rows"]
    after, together = map(percent, variant_costs(section))
    first = value_and_range(rows["first"])
    yield (
        f"{section['count']} variants of PCA, index and metric, after a first run",
        f"{value_and_range(rows['variants'])} s",
        f"{after} of the first run's {first} s; {together} in the same command",
    )


def _search(section: Section) -> Iterator[tuple[str, str, str]]:
    rows = section["rows"]
    ratio = median_ratio_of(rows, "ours", "faiss")
    yield (
        f"exact top {section['depth']} of {section['n']:,} x {section['d']}",
        f"{value_and_range(rows['ours'])} ms per query",
        _join(
            _phrase(
                "{} times as long as faiss alone", "–" if ratio is None else three_digits(ratio)
            ),
            _speedup(rows, "kd_tree", "a KD tree", rates=False),
        ),
    )


ROWS = {"embedding": _embedding, "sweep": _sweep, "search": _search}


def _speedup(rows: Section, other: str, name: str, *, rates: bool = True) -> str:
    """Format the speedup over another method, from rates or from times."""
    ratio = median_ratio_of(rows, "ours", other) if rates else median_ratio_of(rows, other, "ours")
    return _phrase(f"{{}} times as fast as {name}", "–" if ratio is None else three_digits(ratio))


def _phrase(text: str, figure: str) -> str:
    """Insert a figure into a phrase; empty without a figure."""
    return "" if figure == "–" else text.format(figure)


def _join(*phrases: str) -> str:
    return ", ".join(filter(None, phrases))
