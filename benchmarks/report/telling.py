"""The three most telling rows, for the README."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report.cells import number, share, table, value
from benchmarks.speed.goals import compared, shares

Found = dict[str, Any]


def telling(results: dict[str, Any]) -> str:
    """One row each of embedding, economy and search, where they were measured."""
    rows = []
    for section, told in ROWS.items():
        found = results["results"].get(section)
        if found and not found.get("failed"):
            rows += told(found)
    return table(("", "", "beside it"), rows)


def _embedding(section: Found) -> Iterator[tuple[str, str, str]]:
    if ways := section["backbones"].get("mobilenet"):
        beside = (
            _said("{} of the machine's limit", share(compared(ways, "ours", "limit"))),
            _faster(ways, "notebook", "the notebooks' way"),
        )
        rate = f"{value(ways['ours'])} photos/s"
        yield "photos on disk to stored features, MobileNet 224", rate, _joined(*beside)


def _economy(section: Found) -> Iterator[tuple[str, str, str]]:
    rows = section["rows"]
    after, beside = map(share, shares(section))
    yield (
        f"{section['count']} variants of PCA, index and metric, after a first run",
        f"{value(rows['variants'])} s",
        f"{after} of the first run's {value(rows['first'])} s; {beside} in the same command",
    )


def _search(section: Found) -> Iterator[tuple[str, str, str]]:
    rows = section["rows"]
    longer = compared(rows, "ours", "faiss")
    beside = (
        _said("{} times as long as faiss alone", "–" if longer is None else number(longer)),
        _faster(rows, "kd_tree", "a KD tree", rates=False),
    )
    what = f"exact top {section['depth']} of {section['n']:,} x {section['d']}"
    yield what, f"{value(rows['ours'])} ms a query", _joined(*beside)


ROWS = {"embedding": _embedding, "economy": _economy, "search": _search}


def _faster(rows: Found, other: str, name: str, *, rates: bool = True) -> str:
    """How many times as fast ours is, from rates or from times."""
    ratio = compared(rows, "ours", other) if rates else compared(rows, other, "ours")
    return _said(f"{{}} times as fast as {name}", "–" if ratio is None else number(ratio))


def _said(text: str, figure: str) -> str:
    """A phrase with its figure; empty without one."""
    return "" if figure == "–" else text.format(figure)


def _joined(*phrases: str) -> str:
    return ", ".join(filter(None, phrases))
