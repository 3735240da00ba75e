"""Table and notes of each section."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report.cells import factor, failure, percent, remarks, table, value_and_range
from benchmarks.speed.goals import median_ratio_of, variant_costs

METHODS = {
    "limit": "the limit: raw OpenVINO on arrays in memory, plus decoding",
    "ours": "**this project**: photos on disk to stored features",
    "command": "this project, full command: start, search, contact sheets, MLflow",
    "torch": "PyTorch, the better of eager and compiled",
    "dataset": "Keras: `image_dataset_from_directory` and `predict`",
    "notebook": "Keras, as in notebooks: `load_img` and `predict`, photo by photo",
}
COMMANDS = {
    "first": "first run, empty cache",
    "converted": "first run, converted model cached",
    "variants": "{count} variants after it, as a second command",
    "together": "{count} variants with an empty cache, in one command",
    "stored": "one run on stored features, no PCA",
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
        head += [model, "speedup"]
    rows = []
    for method, label in METHODS.items():
        cells = [label]
        for measured in backbones.values():
            own = method in ("ours", "command")
            speedup = "" if own else factor(median_ratio_of(measured, "ours", method))
            cells += [value_and_range(measured.get(method, {})), speedup]
        rows.append(cells)
    notes = []
    for model, measured in backbones.items():
        counts = [f"{name} {row['note']}" for name, row in measured.items() if row.get("note")]
        notes.append(f"{model}: {'; '.join(counts)}.")
        notes += [failure(f"{model}, {name}", row) for name, row in measured.items()]
        notes += _notes(model, measured)
    return "\n\n".join((table(head, rows), *filter(None, notes)))


def _notes(model: str, measured: dict[str, Any]) -> Iterator[str]:
    """Yield versions, the parts of the limit, and the times not counted in the rates."""
    if details := measured.get("torch", {}).get("details"):
        last = details[-1]
        versions = ", ".join(f"{name} {version}" for name, version in last["versions"].items())
        mode = "compiled" if last["compiled"] else "eager"
        yield f"{model}, torch: {versions}; {mode}."
    if details := measured.get("limit", {}).get("details"):
        middle = sorted(details, key=lambda detail: detail["compute"])[len(details) // 2]
        yield (
            f"{model}, the limit: {middle['compute']:.1f} images/s of compute at batch "
            f"{middle['batch']}, {1000 * middle['decode_seconds']:.2f} ms of one core to decode."
        )
    import_seconds = {
        name: sorted(detail["imports"] for detail in row["details"])[len(row["details"]) // 2]
        for name, row in measured.items()
        if row.get("details") and "imports" in row["details"][0]
    }
    if import_seconds:
        listed = ", ".join(f"{name} {seconds:.1f}" for name, seconds in import_seconds.items())
        conversion = measured["ours"].get("conversion_seconds")
        yield (
            f"{model}, not counted: seconds to import and, except for ours, to build the network: "
            f"{listed}."
        )
        if conversion is not None:
            yield (
                f"{model}, ours, once: {conversion:.1f} s to build and convert the network, choose "
                "a batch size and embed 80 images."
            )


def _sweep(section: dict[str, Any]) -> str:
    rows = []
    for name, label in COMMANDS.items():
        row = section["rows"].get(name)
        if row:
            ratio = median_ratio_of(section["rows"], name, "first")
            cpu = [detail["cpu_seconds"] for detail in row["details"]]
            cpu_seconds = f"{sorted(cpu)[len(cpu) // 2]:.1f}" if cpu else ""
            of_first = "" if ratio is None else percent(ratio)
            command = label.format(count=section["count"])
            rows.append((command, value_and_range(row), of_first, cpu_seconds, remarks(row)))
    head = (f"full command, {section['photos']:,} photos", "s", "of the first run", "CPU s", "")
    after, together = variant_costs(section)
    count = section["count"]
    return "\n\n".join(
        (
            table(head, rows),
            f"{count} variants as a second command, including interpreter start, import of MLflow "
            f"and the leaderboard of the sweep: {percent(after)} of the first run.",
            f"{count - 1} more variants in the command of the first run, measured as the "
            f"additional time of that command: {percent(together)} of the first run.",
        )
    )


def _search(section: dict[str, Any]) -> str:
    rows = []
    for name, label in SEARCHES.items():
        row = section["rows"].get(name, {})
        ratio = "" if name == "ours" else factor(median_ratio_of(section["rows"], name, "ours"))
        rows.append((label, value_and_range(row), ratio, remarks(row)))
    head = f"top {section['depth']} of {section['n']:,} x {section['d']}"
    return table((head, "ms per query", "relative to ours", ""), rows)


def _pca(section: dict[str, Any]) -> str:
    rows = []
    for name, row in section["rows"].items():
        ours = f"ours, {name.rpartition(', ')[2]}"
        ratio = "" if name == ours else factor(median_ratio_of(section["rows"], name, ours))
        rows.append((name, value_and_range(row), ratio, remarks(row)))
    head = f"PCA of {section['n']:,} x {section['d']:,}"
    return table((head, "s", "relative to ours", ""), rows)


def _startup(section: dict[str, Any]) -> str:
    rows = []
    for row in section["rows"].values():
        imports = row.get("imports", {})
        modules = f"{imports['modules']:,}" if "modules" in imports else ""
        heavy = ", ".join(imports.get("heavy", ())) or "none"
        reason = f" ({row['failed']})" if row["failed"] else ""
        rows.append((f"{row['note']}{reason}", value_and_range(row), modules, heavy))
    return table(("startup", "s", "modules", "heavy modules"), rows)


def _memory(section: dict[str, Any]) -> str:
    rows = []
    for work in ("embedding", "command"):
        few, many = (section["rows"][f"{work}, {size}"] for size in ("few", "many"))
        ratio = factor(median_ratio_of(section["rows"], f"{work}, many", f"{work}, few"))
        values = value_and_range(few), value_and_range(many)
        rows.append((work, *values, ratio, few["failed"] or many["failed"]))
    head = (f"{section['few']:,} images", f"{section['many']:,}")
    return table(("peak memory, MiB", *head, "ratio", ""), rows)


SECTIONS = {
    "embedding": _embedding,
    "sweep": _sweep,
    "search": _search,
    "pca": _pca,
    "startup": _startup,
    "memory": _memory,
}
