"""A table for each section, and what stands below it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report.cells import failed, said, share, table, times, value
from benchmarks.speed.goals import compared, shares

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
    "variants": "{count} variants after it, as a second command",
    "together": "{count} variants from nothing, in one command",
    "stored": "one stored run, no PCA",
}
SEARCHES = {
    "ours": "**this project**, `index=exact`",
    "faiss": "faiss alone",
    "brute": "scikit-learn, brute force",
    "kd_tree": "scikit-learn, KD tree",
    "ball_tree": "scikit-learn, ball tree",
}


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
            faster = "" if way in ("ours", "whole") else times(compared(ways, "ours", way))
            cells += [value(told), faster]
        rows.append(cells)
    notes = []
    for model, ways in backbones.items():
        used = "; ".join(f"{way} {told['note']}" for way, told in ways.items() if told.get("note"))
        notes.append(f"{model}: {used}.")
        notes += [failed(f"{model}, {way}", told) for way, told in ways.items()]
        notes += _beside(model, ways)
    return "\n\n".join((table(head, rows), *filter(None, notes)))


def _beside(model: str, ways: dict[str, Any]) -> Iterator[str]:
    """What the limit is made of, and what is not counted in the rates."""
    if details := ways.get("torch", {}).get("details"):
        last = details[-1]
        versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
        kind = "compiled" if last["compiled"] else "eager"
        yield f"{model}, torch: {versions}; {kind}."
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
            ratio = compared(section["rows"], name, "first")
            cpu = [one["cpu_seconds"] for one in told["details"]]
            busy = f"{sorted(cpu)[len(cpu) // 2]:.1f}" if cpu else ""
            of_first = "" if ratio is None else share(ratio)
            what = label.format(count=section["count"])
            rows.append((what, value(told), of_first, busy, said(told)))
    head = (f"whole command, {section['photos']:,} photos", "s", "of the first", "processor s", "")
    after, beside = shares(section)
    count = section["count"]
    return "\n\n".join(
        (
            table(head, rows),
            f"{count} variants as a second command, the interpreter's start, MLflow's import and "
            f"the sweep's leaderboard included: {share(after)} of the first run.",
            f"{count - 1} more variants in the first run's own command, which is what that command "
            f"takes longer: {share(beside)} of the first run.",
        )
    )


def _search(section: dict[str, Any]) -> str:
    rows = []
    for name, label in SEARCHES.items():
        told = section["rows"].get(name, {})
        faster = "" if name == "ours" else times(compared(section["rows"], name, "ours"))
        rows.append((label, value(told), faster, said(told)))
    head = f"top {section['depth']} of {section['n']:,} x {section['d']}"
    return table((head, "ms a query", "of ours", ""), rows)


def _pca(section: dict[str, Any]) -> str:
    rows = []
    for name, told in section["rows"].items():
        ours = f"ours, {name.rpartition(', ')[2]}"
        slower = "" if name == ours else times(compared(section["rows"], name, ours))
        rows.append((name, value(told), slower, said(told)))
    return table((f"PCA of {section['n']:,} x {section['d']:,}", "s", "of ours", ""), rows)


def _startup(section: dict[str, Any]) -> str:
    rows = []
    for told in section["rows"].values():
        imports = told.get("imports", {})
        modules = f"{imports['modules']:,}" if "modules" in imports else ""
        heavy = ", ".join(imports.get("heavy", ())) or "none"
        why = f" ({told['failed']})" if told["failed"] else ""
        rows.append((f"{told['note']}{why}", value(told), modules, heavy))
    return table(("start-up", "s", "modules", "heavy ones"), rows)


def _memory(section: dict[str, Any]) -> str:
    rows = []
    for what in ("embedding", "command"):
        few, many = (section["rows"][f"{what}, {which}"] for which in ("few", "many"))
        ratio = times(compared(section["rows"], f"{what}, many", f"{what}, few"))
        rows.append((what, value(few), value(many), ratio, few["failed"] or many["failed"]))
    head = (f"{section['few']:,} pictures", f"{section['many']:,}")
    return table(("peak memory, MiB", *head, "ratio", ""), rows)


SECTIONS = {
    "embedding": _embedding,
    "economy": _economy,
    "search": _search,
    "pca": _pca,
    "startup": _startup,
    "memory": _memory,
}
