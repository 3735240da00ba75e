"""The tables of docs/speed.md, from what `python -m benchmarks` has written.

python -m benchmarks.report benchmarks/results/speed.json --into docs/speed.md README.md
"""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.speed.goals import compared

Cells = Sequence[str]

WAYS = {
    "limit": "the limit: raw OpenVINO on arrays in memory, plus decoding",
    "ours": "**this project**: photos on disk to stored features",
    "whole": "this project, the whole command: start, search, pictures, MLflow",
    "torch": "PyTorch, the better of eager and compiled",
    "dataset": "Keras: `image_dataset_from_directory` and `predict`",
    "notebook": "Keras, as in notebooks: `load_img` and `predict`, photo by photo",
}
COMMANDS = {
    "first": "first run, from nothing",
    "kept": "first run, converted model kept",
    "variants": "variants in one command",
    "stored": "one stored run, no PCA",
}
SEARCHES = {
    "ours": "**this project**, `index=exact`",
    "faiss": "faiss alone",
    "brute": "scikit-learn, brute force",
    "kd_tree": "scikit-learn, KD tree",
    "ball_tree": "scikit-learn, ball tree",
}


def markdown(results: dict[str, Any]) -> str:
    """Everything that was measured, as Markdown.

    Parameters
    ----------
    results : dict
        What the JSON holds.
    """
    found = results["results"]
    parts = [_machine(results), _goals(results["goals"])]
    parts += [SECTIONS[name](found[name]) for name in SECTIONS if name in found]
    return "\n\n".join(part for part in parts if part)


def telling(results: dict[str, Any]) -> str:
    """The most telling rows, for the README."""
    found, rows = results["results"], []
    if ways := found.get("embedding", {}).get("backbones", {}).get("mobilenet"):
        rate, of = _value(ways["ours"]), _times(compared(ways, "ours", "limit"))
        notebook = _times(compared(ways, "ours", "notebook"))
        rows.append(
            (
                "photos on disk to stored features, MobileNet 224",
                f"{rate} photos/s",
                f"{of} the machine's limit, {notebook} the notebooks' way",
            )
        )
    if economy := found.get("economy"):
        some = economy["rows"]
        share = compared(some, "variants", "first")
        rows.append(
            (
                f"{economy['count']} variants of PCA, index and metric, one command",
                f"{_value(some['variants'])} s",
                f"{'?' if share is None else f'{share:.0%}'} of the first run's "
                f"{_value(some['first'])} s",
            )
        )
    if search := found.get("search"):
        some = search["rows"]
        rows.append(
            (
                f"exact top {search['depth']} of {search['n']:,} x {search['d']}",
                f"{_value(some['ours'])} ms a query",
                f"{_times(compared(some, 'ours', 'faiss'))} faiss alone, "
                f"{_times(compared(some, 'ours', 'kd_tree'))} a KD tree",
            )
        )
    return _table(("", "", "beside it"), rows)


def terminal(results: dict[str, Any]) -> str:
    """The same tables for a terminal: aligned, without Markdown's marks."""
    lines = markdown(results).replace("**", "").replace("`", "").splitlines()
    return "\n".join(_aligned([_cells(line) if line.startswith("|") else line for line in lines]))


def fill(text: str, name: str, content: str) -> str:
    """Put content between a text's markers `<!-- name -->` and `<!-- /name -->`.

    Raises
    ------
    ValueError
        If the text has no such markers.
    """
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- /{name} -->)", re.DOTALL)
    if not pattern.search(text):
        raise ValueError(f"no <!-- {name} --> ... <!-- /{name} --> in it")
    return pattern.sub(lambda found: f"{found[1]}{content}\n{found[2]}", text)


def _machine(results: dict[str, Any]) -> str:
    machine, options = results["machine"], results["options"]
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    quick = " A quick run: the figures mean nothing." if options["quick"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, "
        f"Python {machine['python']}; {versions}; commit {machine['commit'] or 'unknown'}. Load "
        f"before: {machine['load'][0]:.2f}. Median of {options['repeats']} (smallest to largest), "
        f"in {results['took_seconds'] / 60:.0f} minutes.{quick}"
    )


def _goals(goals: list[dict[str, Any]]) -> str:
    rows = []
    for goal in goals:
        wanted = f"{'at least' if goal['at_least'] else 'at most'} "
        wanted += _in_unit(goal["wanted"], goal["unit"])
        met = {True: "yes", False: "**no**", None: "not measured"}[goal["met"]]
        rows.append((goal["what"], wanted, _in_unit(goal["found"], goal["unit"]), met))
    return _table(("goal", "wanted", "found", "met"), rows)


def _embedding(section: dict[str, Any]) -> str:
    backbones = section["backbones"]
    head = ["photos/s"]
    for model in backbones:
        head += [model, "ours is"]
    rows = []
    for way, label in WAYS.items():
        cells = [label]
        for ways in backbones.values():
            told = ways.get(way, {})
            faster = "" if way in ("ours", "whole") else _times(compared(ways, "ours", way))
            cells += [_value(told), faster]
        rows.append(cells)
    notes = []
    for model, ways in backbones.items():
        used = "; ".join(f"{way} {told['note']}" for way, told in ways.items() if told.get("note"))
        notes.append(f"{model}: {used}.")
        notes += [_failed(f"{model}, {way}", told) for way, told in ways.items()]
        notes += _beside(model, ways)
    return "\n\n".join((_table(head, rows), *filter(None, notes)))


def _beside(model: str, ways: dict[str, Any]) -> Iterator[str]:
    """What the limit is made of, and what is not counted in the rates."""
    if details := ways.get("limit", {}).get("details"):
        middle = sorted(details, key=lambda one: one["compute"])[len(details) // 2]
        yield (
            f"{model}, the limit: {middle['compute']:.1f} images/s of compute at batch "
            f"{middle['batch']}, {1000 * middle['decode_seconds']:.2f} ms of one core to decode."
        )
    apart = {
        way: sorted(one["imports"] for one in told["details"])[len(told["details"]) // 2]
        for way, told in ways.items()
        if told.get("details") and "imports" in told["details"][0]
    }
    if apart:
        some = ", ".join(f"{way} {seconds:.1f}" for way, seconds in apart.items())
        once = ways["ours"].get("conversion_seconds")
        yield f"{model}, not counted: seconds to import, and for all but ours to build: {some}."
        if once is not None:
            yield (
                f"{model}, ours, once: {once:.1f} s to build and convert the network, choose a "
                "batch size and embed 80 pictures."
            )


def _economy(section: dict[str, Any]) -> str:
    rows = []
    for name, label in COMMANDS.items():
        told = section["rows"].get(name)
        if told:
            share = compared(section["rows"], name, "first")
            cpu = [one["cpu_seconds"] for one in told["details"]]
            busy = f"{sorted(cpu)[len(cpu) // 2]:.1f}" if cpu else ""
            of_first = "" if share is None else f"{share:.0%}"
            rows.append((label, _value(told), of_first, busy, _said(told)))
    head = (f"whole command, {section['photos']:,} photos", "s", "of the first", "processor s", "")
    return _table(head, rows)


def _search(section: dict[str, Any]) -> str:
    rows = []
    for name, label in SEARCHES.items():
        told = section["rows"].get(name, {})
        faster = "" if name == "ours" else _times(compared(section["rows"], name, "ours"))
        rows.append((label, _value(told), faster, _said(told)))
    head = f"top {section['depth']} of {section['n']:,} x {section['d']}"
    return _table((head, "ms a query", "of ours", ""), rows)


def _pca(section: dict[str, Any]) -> str:
    rows = []
    for name, told in section["rows"].items():
        ours = f"ours, {name.rpartition(', ')[2]}"
        slower = "" if name == ours else _times(compared(section["rows"], name, ours))
        rows.append((name, _value(told), slower, _said(told)))
    return _table((f"PCA of {section['n']:,} x {section['d']:,}", "s", "of ours", ""), rows)


def _startup(section: dict[str, Any]) -> str:
    rows = []
    for told in section["rows"].values():
        imports = told.get("imports", {})
        modules = f"{imports['modules']:,}" if "modules" in imports else ""
        heavy = ", ".join(imports.get("heavy", ())) or "none"
        failed = f" ({told['failed']})" if told["failed"] else ""
        rows.append((f"{told['note']}{failed}", _value(told), modules, heavy))
    return _table(("start-up", "s", "modules", "heavy ones"), rows)


def _memory(section: dict[str, Any]) -> str:
    rows = []
    for what in ("embedding", "command"):
        few, many = (section["rows"][f"{what}, {which}"] for which in ("few", "many"))
        times = _times(compared(section["rows"], f"{what}, many", f"{what}, few"))
        rows.append((what, _value(few), _value(many), times, few["failed"] or many["failed"]))
    head = (f"{section['few']:,} pictures", f"{section['many']:,}")
    return _table(("peak memory, MiB", *head, "ratio", ""), rows)


SECTIONS = {
    "embedding": _embedding,
    "economy": _economy,
    "search": _search,
    "pca": _pca,
    "startup": _startup,
    "memory": _memory,
}


def _value(row: dict[str, Any]) -> str:
    """Median, and what it lies between."""
    if "median" not in row:
        return "–"
    low, middle, high = (_number(row[name]) for name in ("low", "median", "high"))
    return middle if len(row["values"]) == 1 else f"{middle} ({low}–{high})"


def _number(value: float) -> str:
    """Three digits, no more."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:#.3g}"


def _times(value: float | None) -> str:
    return "" if value is None else f"{_number(value)} ×"


def _in_unit(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return {"x": f"{value:.3g} ×", "%": f"{value:.1%}", "s": f"{value:.3g} s"}[unit]


def _said(row: dict[str, Any]) -> str:
    return "; ".join(filter(None, (row.get("note"), _failed("", row))))


def _failed(name: str, row: dict[str, Any]) -> str:
    return f"{name}{': ' if name else ''}{row['failed']}" if row.get("failed") else ""


def _table(head: Cells, rows: Iterable[Cells]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    escaped = ([str(cell).replace("|", "\\|").replace("\n", " ") for cell in row] for row in lines)
    return "\n".join(f"| {' | '.join(row)} |" for row in escaped)


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]]


def _aligned(lines: list[str | list[str]]) -> Iterator[str]:
    """Pad the cells of tables, which are lists, and leave out the lines under their heads."""
    table: list[list[str]] = []
    for line in [*lines, ""]:
        if isinstance(line, list):
            table.append(line)
            continue
        rows = [row for row in table if set(row) != {"---"}]
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        for row in rows:
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            yield "  ".join(cells).rstrip()
        table = []
        yield line


def main() -> None:
    """Print the tables, or put them into pages that have markers for them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.report", description=__doc__)
    parser.add_argument("results", type=Path, help="what python -m benchmarks has written")
    parser.add_argument("--into", type=Path, nargs="+", default=[], help="pages to fill")
    given = parser.parse_args()
    results = json.loads(given.results.read_text())
    if not given.into:
        print(markdown(results))
    for page in given.into:
        text, filled = page.read_text(), 0
        for name, content in (("speed", markdown), ("speed-rows", telling)):
            if f"<!-- {name} -->" in text:
                text, filled = fill(text, name, content(results)), filled + 1
        if not filled:
            raise SystemExit(f"{page}: has neither <!-- speed --> nor <!-- speed-rows --> in it")
        page.write_text(text)


if __name__ == "__main__":
    main()
