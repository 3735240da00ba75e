"""Everything that was measured, as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.report.cells import in_unit, table
from benchmarks.report.sections import SECTIONS


def markdown(results: dict[str, Any]) -> str:
    """The machine, the goals, and each section.

    Parameters
    ----------
    results : dict
        What the JSON holds.
    """
    parts = [_machine(results)]
    if results["goals"]:
        parts.append(_goals(results["goals"]))
    for name, found in results["results"].items():
        failed = found.get("failed")
        parts.append(f"{name} failed: {failed}" if failed else SECTIONS[name](found))
    return "\n\n".join(parts)


def _machine(results: dict[str, Any]) -> str:
    machine, options, found = results["machine"], results["options"], results["results"].values()
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    minutes = sum(section["took_seconds"] for section in found) / 60
    load = max((section["load"][0] for section in found), default=machine["load"][0])
    quick = " A quick run: the figures mean nothing." if options["quick"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, "
        f"Python {machine['python']}; {versions}; commit {machine['commit'] or 'unknown'}. Load "
        f"before: {load:.2f}. Median of {options['repeats']}, or of as many as are "
        f"said (smallest to largest), in {minutes:.0f} minutes.{quick}"
    )


def _goals(goals: list[dict[str, Any]]) -> str:
    rows = []
    for goal in goals:
        wanted = f"{'at least' if goal['at_least'] else 'at most'} "
        wanted += in_unit(goal["wanted"], goal["unit"])
        met = {True: "yes", False: "**no**", None: "not measured"}[goal["met"]]
        rows.append((goal["what"], wanted, in_unit(goal["found"], goal["unit"]), met))
    return table(("goal", "wanted", "found", "met"), rows)
