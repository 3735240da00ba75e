"""All results as Markdown."""

from __future__ import annotations

from typing import Any

from benchmarks.report.cells import goal_value, table
from benchmarks.report.sections import SECTIONS


def markdown(results: dict[str, Any]) -> str:
    """Format the machine, the goals, and each section.

    Parameters
    ----------
    results : dict
        Contents of the JSON file.
    """
    parts = [_machine(results)]
    if results["goals"]:
        parts.append(_goals(results["goals"]))
    for name, section in results["results"].items():
        failed = section.get("failed")
        parts.append(f"{name} failed: {failed}" if failed else SECTIONS[name](section))
    return "\n\n".join(parts)


def _machine(results: dict[str, Any]) -> str:
    machine, options = results["machine"], results["options"]
    sections = results["results"].values()
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    minutes = sum(section["took_seconds"] for section in sections) / 60
    load = max((section["load"][0] for section in sections), default=machine["load"][0])
    quick = " A quick run: the figures are meaningless." if options["quick"] else ""
    return (
        f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']:g} GiB, "
        f"Python {machine['python']}; {versions}; commit {machine['commit'] or 'unknown'}. Load "
        f"before: {load:.2f}. Medians of {options['repeats']} repeats unless noted (smallest to "
        f"largest), in {minutes:.0f} minutes.{quick}"
    )


def _goals(goals: list[dict[str, Any]]) -> str:
    rows = []
    for goal in goals:
        target = f"{'at least' if goal['at_least'] else 'at most'} "
        target += goal_value(goal["target"], goal["unit"])
        met = {True: "yes", False: "**no**", None: "not measured"}[goal["met"]]
        rows.append((goal["name"], target, goal_value(goal["measured"], goal["unit"]), met))
    return table(("goal", "target", "measured", "met"), rows)
